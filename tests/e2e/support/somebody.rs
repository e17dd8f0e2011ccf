//! Callers, and what they show.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use nodeward_api::v1::PatchNodeRequest;
use nodeward_api::v1::node_service_client::NodeServiceClient;
use nodeward_api::v1::patch_node_request::PatchType;
use nodeward_sandbox::CertificateFiles;
use prost_reflect::MethodDescriptor;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::raw::{methods, path, send};
use super::requests::harmless;
use super::{ErrorExt, assert_error};

/// A caller with a connection of their own.
#[derive(Clone)]
pub struct Somebody {
    pub channel: Channel,
    metadata: MetadataMap,
}

impl Somebody {
    /// Somebody who trusts this CA, and shows a certificate if they have one.
    pub async fn connect(address: SocketAddr, ca: &Path, certificate: Option<&CertificateFiles>) -> Self {
        Self::connect_from(None, address, ca, certificate).await
    }

    /// The same, from this address.
    pub async fn connect_from(
        from: Option<IpAddr>,
        address: SocketAddr,
        ca: &Path,
        certificate: Option<&CertificateFiles>,
    ) -> Self {
        let read = |path: &Path| std::fs::read(path).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca))).domain_name("localhost");
        let tls = match certificate {
            Some(files) => tls.identity(Identity::from_pem(read(&files.certificate), read(&files.key))),
            None => tls,
        };
        let endpoint =
            Endpoint::from_shared(format!("https://{address}")).unwrap().tls_config(tls).unwrap().local_address(from);
        Self { channel: endpoint.connect().await.unwrap(), metadata: MetadataMap::new() }
    }

    /// The same, who sends this metadata too with each call.
    pub fn saying(mut self, name: &str, value: &str) -> Self {
        let name = MetadataKey::<Ascii>::from_bytes(name.as_bytes()).unwrap();
        self.metadata.append(name, value.parse().unwrap());
        self
    }

    /// A client for calls in earnest.
    pub fn client(&self) -> NodeServiceClient<InterceptedService<Channel, Says>> {
        NodeServiceClient::with_interceptor(self.channel.clone(), self.says())
    }

    /// What is sent with each call, for clients of other services.
    pub fn says(&self) -> Says {
        Says(self.metadata.clone())
    }

    /// Calls an RPC about this node, in a way that changes nothing.
    pub async fn ask(&self, rpc: &str, node: &str) -> Result<(), Status> {
        let method = methods().into_iter().find(|method| method.name() == rpc).expect("an RPC of this name");
        self.ask_method(&method, node).await
    }

    /// The same, where two services have an RPC of this name.
    pub async fn ask_method(&self, method: &MethodDescriptor, node: &str) -> Result<(), Status> {
        let mut request = Request::new(harmless(method.name(), node));
        *request.metadata_mut() = self.metadata.clone();
        send(&self.channel, &path(method), request).await
    }

    /// Applies a label to this node, which creates it if there is none.
    pub async fn apply(&self, node: &str) -> Result<(), Status> {
        let request = PatchNodeRequest {
            name: format!("nodes/{node}"),
            r#type: PatchType::Apply.into(),
            patch: r#"{"metadata": {"labels": {"team": "blue"}}}"#.to_owned(),
            field_manager: "somebody".to_owned(),
            ..PatchNodeRequest::default()
        };
        self.client().patch_node(request).await.map(drop)
    }

    /// The RPCs that they may call about this node, and about an operation that does not exist. All others must be denied for
    /// the right that they lack.
    pub async fn may(&self, node: &str) -> Vec<String> {
        let mut allowed = Vec::new();
        for method in methods() {
            match self.ask_method(&method, node).await {
                Ok(()) => allowed.push(method.name().to_owned()),
                Err(status) if status.reason() == "OPERATION_NOT_FOUND" => allowed.push(method.name().to_owned()),
                Err(status) => drop(assert_error(Err::<(), _>(status), Code::PermissionDenied, "ACCESS_DENIED")),
            }
        }
        allowed
    }

    /// Nobody knows who they are, whatever they call: why.
    pub async fn is_unknown(&self) -> String {
        let mut details = Vec::new();
        for method in methods() {
            let refused = self.ask_method(&method, "worker-1").await;
            let status = assert_error(refused, Code::Unauthenticated, "CREDENTIALS_INVALID");
            details.push(status.detail());
        }
        details.dedup();
        let [detail] = details.try_into().expect("the same detail for every RPC");
        detail
    }

    /// Waits until they are answered otherwise than with success.
    pub async fn refusal(&self, rpc: &str, node: &str) -> Status {
        super::eventually("a refusal", async || self.ask(rpc, node).await.err()).await
    }
}

/// Adds metadata to calls.
#[derive(Clone)]
pub struct Says(MetadataMap);

impl Interceptor for Says {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for entry in self.0.iter() {
            if let tonic::metadata::KeyAndValueRef::Ascii(name, value) = entry {
                request.metadata_mut().append(name, value.clone());
            }
        }
        Ok(request)
    }
}

/// What a refusal says of itself.
pub trait Refusal {
    /// The detail of its ErrorInfo.
    fn detail(&self) -> String;
}

impl Refusal for Status {
    fn detail(&self) -> String {
        assert!(!self.reason().is_empty());
        self.get_details_error_info().unwrap().metadata.remove("detail").unwrap_or_default()
    }
}
