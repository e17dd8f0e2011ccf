//! What a pod is like, to be made by itself or by a controller.

use serde_json::{Map, Value, json};

/// What a pod is like: of an app, with one container.
#[derive(Clone, Debug)]
pub struct Shape {
    labels: Map<String, Value>,
    annotations: Map<String, Value>,
    metadata: Map<String, Value>,
    spec: Map<String, Value>,
}

impl Shape {
    /// A pod of this app.
    pub fn of(app: &str) -> Self {
        let container = json!({ "name": "main", "image": "registry.example/main:1" });
        let spec = json!({ "automountServiceAccountToken": false, "containers": [container] });
        let Value::Object(spec) = spec else { unreachable!() };
        let (annotations, metadata) = Default::default();
        Self { labels: Map::from_iter([("app".to_owned(), app.into())]), annotations, metadata, spec }
    }

    /// With this label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.into());
        self
    }

    /// With this annotation.
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }

    /// With so many seconds to end. Its fake kubelet takes all of them if there are many, and one otherwise.
    pub fn grace(self, seconds: i64) -> Self {
        let with = self.spec("terminationGracePeriodSeconds", json!(seconds));
        with.annotation("pod-delete.stage.kwok.x-k8s.io/delay", &format!("{}s", seconds.max(1)))
    }

    /// With so many seconds to end, in which its fake kubelet does not end it, nor later.
    pub fn hanging(self, seconds: i64) -> Self {
        self.grace(seconds).annotation("pod-delete.stage.kwok.x-k8s.io/delay", "1h")
    }

    /// It never begins to run.
    pub fn never_starting(self) -> Self {
        self.annotation("pod-create.stage.kwok.x-k8s.io/delay", "1h")
    }

    /// If it is a Job's, it takes so long to finish.
    pub fn finishing_after(self, delay: &str) -> Self {
        self.annotation("pod-complete.stage.kwok.x-k8s.io/delay", delay)
    }

    /// With a volume that nothing outlives.
    pub fn empty_dir(self) -> Self {
        self.spec("volumes", json!([{ "name": "scratch", "emptyDir": {} }]))
    }

    /// With this finalizer.
    pub fn finalizer(self, name: &str) -> Self {
        self.metadata("finalizers", json!([name]))
    }

    /// Controlled by this, which need not exist.
    pub fn owned_by(self, api_version: &str, kind: &str, name: &str, uid: &str) -> Self {
        let owner = json!({ "apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": true });
        self.metadata("ownerReferences", json!([owner]))
    }

    /// With this in its spec.
    pub fn spec(mut self, field: &str, value: Value) -> Self {
        self.spec.insert(field.to_owned(), value);
        self
    }

    fn metadata(mut self, field: &str, value: Value) -> Self {
        self.metadata.insert(field.to_owned(), value);
        self
    }

    /// The app that it is of, as a selector.
    pub fn selector(&self) -> Value {
        json!({ "matchLabels": { "app": self.labels["app"] } })
    }

    /// The pod of this name on this node, which nobody has to schedule.
    pub fn pod(&self, name: &str, node: &str) -> Value {
        let bound = self.clone().metadata("name", name.into()).spec("nodeName", node.into());
        bound.template()
    }

    /// The template of such pods.
    pub fn template(&self) -> Value {
        let mut metadata = self.metadata.clone();
        metadata.insert("labels".to_owned(), self.labels.clone().into());
        metadata.insert("annotations".to_owned(), self.annotations.clone().into());
        json!({ "metadata": metadata, "spec": self.spec })
    }
}
