//! Which cluster, and the client for it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::builder::BoolishValueParser;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::util::AndThenLayer;

use super::WriteAs;
use super::mutate::LedgerOptions;
use super::retry_after::told_in_the_body;
use super::store::StoreOptions;
use crate::telemetry::KubeTraceLayer;

/// Which cluster to manage, and with which identity.
///
/// Without a flag: the kubeconfig in KUBECONFIG or ~/.kube/config if there is one, otherwise the service account of the pod.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterOptions {
    /// The kubeconfig file to use
    #[arg(long, env = "NODEWARD_KUBECONFIG", value_name = "FILE", conflicts_with = "in_cluster")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use, instead of its current one
    #[arg(long, env = "NODEWARD_CONTEXT", value_name = "NAME", conflicts_with = "in_cluster")]
    pub context: Option<String>,

    /// Use the service account of the pod that this server runs in, whatever kubeconfig there is
    #[arg(long, env = "NODEWARD_IN_CLUSTER", value_parser = BoolishValueParser::new())]
    pub in_cluster: bool,

    /// The namespace in which the server keeps what it must remember of requests. Without it: the namespace of the
    /// service account or of the kubeconfig's context
    #[arg(long, env = "NODEWARD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// In whose name changes are sent to Kubernetes
    #[arg(long, env = "NODEWARD_WRITE_AS", value_name = "WHO", value_enum, default_value_t)]
    pub write_as: WriteAs,

    /// How many creations and deletions are remembered.
    #[command(flatten)]
    pub ledger: LedgerOptions,

    /// What is kept of it in memory.
    #[command(flatten)]
    pub store: StoreOptions,
}

/// A client of a cluster, and what the options say of its use.
#[derive(Clone)]
pub struct Connection {
    pub(super) client: Client,
    /// Of the server's own objects there.
    pub(super) namespace: String,
    pub(super) write_as: WriteAs,
    pub(super) ledger: LedgerOptions,
    pub(super) store: StoreOptions,
}

impl Connection {
    /// A connection that leads nowhere.
    #[cfg(test)]
    pub(crate) fn nowhere() -> Self {
        let refuse = |_: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("there is no cluster"))
        };
        let client = Client::new(tower::service_fn(refuse), "default");
        let namespace = "default".to_owned();
        let (ledger, store) = (LedgerOptions::default(), StoreOptions::default());
        Self { client, namespace, write_as: WriteAs::default(), ledger, store }
    }

    /// A connection to an apiserver that a test plays.
    #[cfg(test)]
    pub(crate) fn of(client: Client) -> Self {
        Self { client, ..Self::nowhere() }
    }

    /// A connection to a cluster of which nothing is known but what `answer` says to each request, and how long it takes.
    #[cfg(test)]
    pub(crate) fn answering<F>(answer: impl Fn(String, serde_json::Value) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = serde_json::Value> + Send + 'static,
    {
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let answer = answer.clone();
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect_bytes().await?;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let answer = answer(path, body).await.to_string().into_bytes();
                Ok::<_, tower::BoxError>(http::Response::new(kube::client::Body::from(answer)))
            }
        });
        Self { client: Client::new(service, "default"), ..Self::nowhere() }
    }

    /// A client as the options say. Nothing is sent yet.
    pub async fn open(options: &ClusterOptions) -> anyhow::Result<Self> {
        let config = config(options).await?;
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let layer = KubeTraceLayer::new(&config.cluster_url);
        let client = ClientBuilder::try_from(config).context("the cluster's address or credentials")?;
        Ok(Self {
            client: client.with_layer(&AndThenLayer::new(told_in_the_body)).with_layer(&layer).build(),
            namespace,
            write_as: options.write_as,
            ledger: options.ledger,
            store: options.store,
        })
    }
}

async fn config(options: &ClusterOptions) -> anyhow::Result<Config> {
    let mut config = if options.in_cluster {
        Config::incluster().context("this is no pod with a service account; leave out --in-cluster")?
    } else if options.kubeconfig.is_some() || options.context.is_some() {
        from_kubeconfig(options).await?
    } else {
        Config::infer()
            .await
            .context("there is neither a kubeconfig nor a pod's service account; name a kubeconfig with --kubeconfig")?
    };
    // kube's own retries hide a blocked call for minutes, and repeat changes. What is tried again is decided above.
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    Ok(config)
}

async fn from_kubeconfig(options: &ClusterOptions) -> anyhow::Result<Config> {
    let kubeconfig = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).with_context(|| format!("the kubeconfig {}", path.display()))?,
        None => Kubeconfig::read().context("the kubeconfig")?,
    };
    let context = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &context).await.context("the kubeconfig's context")
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    #[test]
    fn a_variable_that_turns_something_on_takes_the_usual_words() {
        let command = ClusterOptions::augment_args(Command::new("test"));
        let in_cluster = command.get_arguments().find(|argument| argument.get_id() == "in_cluster").unwrap();
        let words: Vec<String> =
            in_cluster.get_value_parser().possible_values().unwrap().map(|word| word.get_name().to_owned()).collect();
        for word in ["1", "0", "yes", "no", "on", "off", "true", "false"] {
            assert!(words.iter().any(|one| one == word), "{word} is not among {words:?}");
        }
    }
}
