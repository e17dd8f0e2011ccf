//! The RPCs of the fake, as simple as the tests allow.

use std::fmt::Debug;
use std::pin::Pin;

use futures::stream::{self, BoxStream, Stream, StreamExt};
use nodeward_client::api::node_service_server::NodeService;
use nodeward_client::api::{
    CordonNodeRequest, CreateNodeRequest, DeleteNodeRequest, DeleteNodesRequest, DeleteNodesResponse, GetNodeRequest,
    ListNodesRequest, ListNodesResponse, Node, NodeSpec, ObjectMeta, PatchNodeRequest, SchedulingState,
    StreamNodesRequest, StreamNodesResponse, StreamNodesSummary, Taint, UncordonNodeRequest, UpdateNodeRequest,
    UpdateNodeStatusRequest, WatchNodesRequest, WatchNodesResponse,
};
use tonic::{Code, Request, Response, Status};

use super::{Call, Fake, Fate, State, Step, TRACE_ID, status};

type Watch = Pin<Box<dyn Stream<Item = Result<WatchNodesResponse, Status>> + Send>>;

#[tonic::async_trait]
impl NodeService for Fake {
    type StreamNodesStream = BoxStream<'static, Result<StreamNodesResponse, Status>>;
    type WatchNodesStream = Watch;

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Get);
        self.meet(None, || find(&self.lock(), &request.name)).await
    }

    async fn list_nodes(&self, request: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let request = self.note(request, Call::List);
        let fate = self.lock().fates.pop_front();
        self.meet(fate, || Ok(page(&self.lock(), &request))).await
    }

    /// The nodes one by one, and the summary.
    async fn stream_nodes(
        &self,
        request: Request<StreamNodesRequest>,
    ) -> Result<Response<Self::StreamNodesStream>, Status> {
        let request = self.note(request, Call::Stream);
        let fate = self.lock().fates.pop_front();
        let answer = self.meet(fate, || Ok(messages(&mut self.lock(), &request))).await?;
        Ok(answer.map(|messages| stream::iter(messages.into_iter().map(Ok)).boxed()))
    }

    async fn watch_nodes(&self, request: Request<WatchNodesRequest>) -> Result<Response<Watch>, Status> {
        self.note(request, Call::Watch);
        let mut steps = self.lock().watches.pop_front().unwrap_or_default();
        match steps.first() {
            Some(Step::Fail(status)) => return Err(status.clone()),
            Some(Step::Hang) => std::future::pending().await,
            _ => {}
        }
        let ends = matches!(steps.last(), Some(Step::End | Step::Fail(_)));
        steps.retain(|step| matches!(step, Step::Send(_) | Step::Fail(_)));
        let messages = stream::iter(steps.into_iter().map(|step| match step {
            Step::Send(message) => Ok(*message),
            Step::Fail(status) => Err(status),
            Step::End | Step::Hang => Err(Status::internal("filtered out")),
        }));
        Ok(Response::new(if ends { messages.boxed() } else { messages.chain(stream::pending()).boxed() }))
    }

    async fn create_node(&self, request: Request<CreateNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Create);
        let fate = self.lock().fates.pop_front();
        self.meet(fate, || {
            let name = format!("nodes/{}", request.node_id);
            let mut state = self.lock();
            if state.nodes.contains_key(&name) {
                let message = format!("node {:?} exists already", request.node_id);
                return Err(status(Code::AlreadyExists, "NODE_ALREADY_EXISTS", &message, None));
            }
            let node = Node { name, ..request.node.unwrap_or_default() };
            Ok(if request.validate_only { node } else { state.put(node) })
        })
        .await
    }

    async fn update_node(&self, request: Request<UpdateNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Update);
        let asked = Asked::new(&request, &request.request_id, &request.etag, request.validate_only);
        let UpdateNodeRequest { node, update_mask, .. } = request;
        let wanted = node.unwrap_or_default();
        let paths = update_mask.unwrap_or_default().paths;
        self.write(&wanted.name.clone(), asked, |node| apply(node, &wanted, &paths)).await
    }

    async fn update_node_status(&self, request: Request<UpdateNodeStatusRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::UpdateStatus);
        let asked = Asked::new(&request, &request.request_id, &request.etag, request.validate_only);
        let wanted = request.node.unwrap_or_default();
        let status = wanted.status.clone();
        self.write(&wanted.name, asked, |node| node.status = status).await
    }

    async fn patch_node(&self, request: Request<PatchNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Patch);
        let asked = Asked::new(&request, &request.request_id, &request.etag, request.validate_only);
        self.write(&request.name, asked, |_| {}).await
    }

    async fn delete_node(&self, request: Request<DeleteNodeRequest>) -> Result<Response<()>, Status> {
        let request = self.note(request, Call::Delete);
        let fate = self.lock().fates.pop_front();
        self.meet(fate, || {
            let mut state = self.lock();
            match find(&state, &request.name) {
                Err(_) if request.allow_missing => {}
                Err(status) => return Err(status),
                Ok(_) if request.validate_only => {}
                Ok(_) => drop(state.nodes.remove(&request.name)),
            }
            Ok(())
        })
        .await
    }

    async fn delete_nodes(
        &self,
        request: Request<DeleteNodesRequest>,
    ) -> Result<Response<DeleteNodesResponse>, Status> {
        let request = self.note(request, Call::DeleteMany);
        let fate = self.lock().fates.pop_front();
        self.meet(fate, || {
            let deleted_nodes = matching(&self.lock(), &request.label_selector);
            let (expected, actual) = (request.expected_count, deleted_nodes.len());
            if usize::try_from(expected) != Ok(actual) {
                let message = format!("{actual} nodes match, {expected} were expected");
                return Err(status(Code::FailedPrecondition, "COUNT_MISMATCH", &message, Some("list them")));
            }
            Ok(DeleteNodesResponse { deleted_nodes })
        })
        .await
    }

    async fn cordon_node(&self, request: Request<CordonNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Cordon);
        let asked = Asked::new(&request, &request.request_id, &request.etag, request.validate_only);
        self.write(&request.name, asked, |node| set_cordoned(node, true)).await
    }

    async fn uncordon_node(&self, request: Request<UncordonNodeRequest>) -> Result<Response<Node>, Status> {
        let request = self.note(request, Call::Uncordon);
        let asked = Asked::new(&request, &request.request_id, &request.etag, request.validate_only);
        self.write(&request.name, asked, |node| set_cordoned(node, false)).await
    }
}

/// What all changes of a node ask for.
struct Asked {
    id: String,
    /// All but the id.
    content: String,
    etag: String,
    validate_only: bool,
}

impl Asked {
    fn new(request: &impl Debug, id: &str, etag: &str, validate_only: bool) -> Self {
        let content = format!("{request:?}").replace(id, "");
        Self { id: id.to_owned(), content, etag: etag.to_owned(), validate_only }
    }
}

impl Fake {
    pub(super) fn note<T: Clone>(&self, request: Request<T>, call: impl FnOnce(T) -> Call) -> T {
        let (metadata, _, message) = request.into_parts();
        let mut state = self.lock();
        state.metadata.push(metadata);
        state.calls.push(call(message.clone()));
        message
    }

    pub(super) async fn meet<T>(
        &self,
        fate: Option<Fate>,
        act: impl FnOnce() -> Result<T, Status>,
    ) -> Result<Response<T>, Status> {
        match fate {
            None | Some(Fate::Race) => {}
            Some(Fate::Meet(barrier)) => {
                barrier.wait().await;
            }
            Some(Fate::Fail(status)) => return Err(status),
            Some(Fate::Hang) => std::future::pending().await,
            Some(Fate::Lose(status)) => return act().and(Err(status)),
        }
        let mut response = Response::new(act()?);
        response.metadata_mut().insert("x-trace-id", TRACE_ID.parse().unwrap());
        Ok(response)
    }

    async fn write(&self, name: &str, asked: Asked, change: impl FnOnce(&mut Node)) -> Result<Response<Node>, Status> {
        let Asked { id, content, etag, validate_only } = asked;
        let fate = self.lock().fates.pop_front();
        let is_race = matches!(fate, Some(Fate::Race));
        self.meet(fate, || {
            let mut state = self.lock();
            if is_race {
                let mut node = find(&state, name)?;
                node.metadata.get_or_insert_default().labels.insert("racer".into(), "was-here".into());
                state.put(node);
            }
            let mut node = find(&state, name)?;
            match state.done.get(&id) {
                Some(done) if *done == content => return Ok(node),
                Some(_) => return Err(status(Code::InvalidArgument, "REQUEST_ID_CONFLICT", "another request", None)),
                None => {}
            }
            if !etag.is_empty() && etag != node.etag {
                let message = format!("node {:?} is no longer at etag {etag}", short(name));
                return Err(status(Code::Aborted, "ETAG_MISMATCH", &message, Some("read again")));
            }
            change(&mut node);
            if validate_only {
                return Ok(node);
            }
            state.done.insert(id, content);
            Ok(state.put(node))
        })
        .await
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("nodes/").unwrap_or(name)
}

pub(super) fn find(state: &State, name: &str) -> Result<Node, Status> {
    let missing = || {
        let message = format!("node {:?} does not exist", short(name));
        status(Code::NotFound, "NODE_NOT_FOUND", &message, Some("list the nodes"))
    };
    state.nodes.get(name).cloned().ok_or_else(missing)
}

/// The names of those that match a selector `key=value`.
fn matching(state: &State, selector: &str) -> Vec<String> {
    let has_label = |node: &&Node| match selector.split_once('=') {
        Some((key, value)) => {
            node.metadata.as_ref().and_then(|metadata| metadata.labels.get(key)).is_some_and(|one| one == value)
        }
        None => true,
    };
    state.nodes.values().filter(has_label).map(|node| node.name.clone()).collect()
}

fn page(state: &State, request: &ListNodesRequest) -> ListNodesResponse {
    let names = matching(state, &request.label_selector);
    let begin: usize = request.page_token.parse().unwrap_or(0);
    let size = if state.page_size == 0 { names.len() } else { state.page_size };
    let end = (begin + size).min(names.len());
    ListNodesResponse {
        nodes: names[begin..end].iter().map(|name| state.nodes[name].clone()).collect(),
        next_page_token: if end < names.len() { end.to_string() } else { String::new() },
        total_size: names.len() as i32,
        etag: format!("set-{begin}"),
        cache_age: None,
    }
}

fn messages(state: &mut State, request: &StreamNodesRequest) -> Vec<StreamNodesResponse> {
    let names = matching(state, &request.label_selector);
    let summary = StreamNodesSummary { total_size: names.len() as i32, etag: "set-0".into(), ..Default::default() };
    let nodes = names.iter().map(|name| StreamNodesResponse { nodes: vec![state.nodes[name].clone()], summary: None });
    let mut messages: Vec<_> =
        nodes.chain([StreamNodesResponse { nodes: Vec::new(), summary: Some(summary) }]).collect();
    if state.cut_streams > 0 {
        state.cut_streams -= 1;
        messages.truncate(2);
    }
    messages
}

fn set_cordoned(node: &mut Node, is_cordoned: bool) {
    node.spec.get_or_insert_default().unschedulable = is_cordoned.then_some(true);
    let state = if is_cordoned { SchedulingState::Cordoned } else { SchedulingState::Schedulable };
    node.scheduling_state = state.into();
}

/// Sets and removes the labels, annotations and taints that the paths name.
fn apply(node: &mut Node, wanted: &Node, paths: &[String]) {
    let (no_metadata, no_spec) = (ObjectMeta::default(), NodeSpec::default());
    let (metadata, spec) = (wanted.metadata.as_ref().unwrap_or(&no_metadata), wanted.spec.as_ref().unwrap_or(&no_spec));
    for path in paths {
        let key = |prefix: &str| path.strip_prefix(prefix).map(|key| key.trim_matches('`').to_owned());
        let target = node.metadata.get_or_insert_default();
        if let Some(key) = key("metadata.labels.") {
            put(&mut target.labels, key, &metadata.labels);
        } else if let Some(key) = key("metadata.annotations.") {
            put(&mut target.annotations, key, &metadata.annotations);
        } else if let Some(key) = key("spec.taints.") {
            let is_meant = |taint: &&Taint| format!("{}:{}", taint.key, taint.effect) == key;
            let taints = &mut node.spec.get_or_insert_default().taints;
            taints.retain(|taint| !is_meant(&taint));
            taints.extend(spec.taints.iter().filter(is_meant).cloned());
        }
    }
}

fn put(
    target: &mut std::collections::BTreeMap<String, String>,
    key: String,
    source: &std::collections::BTreeMap<String, String>,
) {
    match source.get(&key) {
        Some(value) => target.insert(key, value.clone()),
        None => target.remove(&key),
    };
}
