//! The rules that the contract keeps and that buf doesn't know: Google's API improvement proposals (google.aip.dev), and
//! that the errors it promises are those that docs/errors.md explains. Each exception is named here, with its reason.

#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/errors.rs"]
mod errors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use descriptors::{
    POOL, behaviors, enums, field_at, fields, format, http_rule, is_read, is_resource, messages, mutations,
    request_fields, rpc_comment, rpcs, service_comment, services,
};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

/// What does not exist yet has no etag.
const WITHOUT_ETAG: [&str; 1] = ["nodeward.v1.NodeService.CreateNode"];

/// Times that are called what Kubernetes calls them.
const KUBERNETES_TIMES: [&str; 4] = [
    "nodeward.v1.ObjectMeta.creation_timestamp",
    "nodeward.v1.ObjectMeta.deletion_timestamp",
    "nodeward.v1.ManagedFieldsEntry.time",
    "nodeward.v1.Taint.time_added",
];

#[test]
fn every_proto_file_is_part_of_the_contract() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let missing = proto_files(&root.join("nodeward")).into_iter().filter_map(|file| {
        let name = file.strip_prefix(&root).ok()?.to_str()?.to_owned();
        POOL.get_file_by_name(&name).is_none().then_some(name)
    });
    none("files that build.rs does not compile", missing);
}

#[test]
fn every_field_of_a_request_says_how_it_behaves() {
    let silent = request_fields().into_iter().filter(|field| behaviors(field).is_empty());
    none("fields without google.api.field_behavior (AIP-203)", silent.map(field_name));
}

#[test]
fn every_rpc_has_a_request_of_its_own() {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rpc in rpcs() {
        users.entry(rpc.input().full_name().to_owned()).or_default().push(rpc.name().to_owned());
    }
    let shared = users.into_iter().filter(|(_, rpcs)| rpcs.len() > 1);
    none("requests of several RPCs", shared.map(|(request, rpcs)| format!("{request} of {}", rpcs.join(", "))));
}

#[test]
fn every_mutation_can_be_sent_again() {
    let is_kept = |rpc: &MethodDescriptor| {
        let field = rpc.input().get_field_by_name("request_id");
        field.is_some_and(|field| is_optional(&field, Kind::String) && format(&field).as_deref() == Some("UUID4"))
    };
    none(
        "mutations without `string request_id`, OPTIONAL and UUID4 (AIP-155)",
        rpcs_that(mutations(), |rpc| !is_kept(rpc)),
    );
}

#[test]
fn every_mutation_can_be_tried_out() {
    let lacks = |rpc: &MethodDescriptor| !has_optional(&rpc.input(), "validate_only", Kind::Bool);
    none("mutations without `bool validate_only`, OPTIONAL (AIP-163)", rpcs_that(mutations(), lacks));
}

#[test]
fn every_mutation_takes_its_reason() {
    let lacks = |rpc: &MethodDescriptor| !has_optional(&rpc.input(), "reason", Kind::String);
    none("mutations without `string reason`, OPTIONAL", rpcs_that(mutations(), lacks));
}

#[test]
fn every_mutation_takes_an_etag() {
    let lacks = |rpc: &MethodDescriptor| !has_optional(&rpc.input(), "etag", Kind::String);
    let lacking = rpcs_that(mutations(), lacks).filter(|name| !WITHOUT_ETAG.contains(&name.as_str()));
    none("mutations without `string etag`, OPTIONAL (AIP-154)", lacking);
}

#[test]
fn every_list_has_pages() {
    let has_pages = |rpc: &MethodDescriptor| {
        has_optional(&rpc.input(), "page_size", Kind::Int32)
            && has_optional(&rpc.input(), "page_token", Kind::String)
            && has(&rpc.output(), "next_page_token", Kind::String)
    };
    let lists = rpcs().into_iter().filter(|rpc| rpc.name().starts_with("List")).collect();
    none(
        "lists without `int32 page_size`, `string page_token` and `string next_page_token` (AIP-158)",
        rpcs_that(lists, |rpc| !has_pages(rpc)),
    );
}

#[test]
fn every_rpc_can_be_called_over_http() {
    none("RPCs without google.api.http (AIP-127)", rpcs_that(rpcs(), |rpc| http_rule(rpc).is_none()));
}

#[test]
fn http_gets_what_only_reads() {
    let mixed_up = |rpc: &MethodDescriptor| http_rule(rpc).is_some_and(|rule| (rule.verb == "get") != is_read(rpc));
    none("RPCs that are either GET or NO_SIDE_EFFECTS but not both", rpcs_that(rpcs(), mixed_up));
}

#[test]
fn http_paths_and_bodies_hold_fields_that_exist() {
    let is_wrong = |rpc: &MethodDescriptor| {
        http_rule(rpc).is_some_and(|rule| {
            let body = Some(rule.body.as_str()).filter(|body| !["", "*"].contains(body));
            rule.path_fields().chain(body).any(|path| field_at(&rpc.input(), path).is_none())
        })
    };
    none("RPCs whose google.api.http names fields that the request doesn't have", rpcs_that(rpcs(), is_wrong));
}

#[test]
fn no_two_rpcs_share_an_http_route() {
    let mut routes = BTreeSet::new();
    let shared = rpcs().into_iter().filter_map(|rpc| {
        let route = http_rule(&rpc).map(|rule| format!("{} {}", rule.verb, without_variables(&rule.path)))?;
        (!routes.insert(route.clone())).then_some(route)
    });
    none("routes of several RPCs", shared);
}

#[test]
fn every_rpc_says_who_may_call_it_and_what_can_go_wrong() {
    let is_silent = |rpc: &MethodDescriptor| {
        let comment = rpc_comment(rpc);
        let says_what = !comment.trim_start().starts_with("Callers:");
        let says_who = comment.lines().any(|line| line.trim().starts_with("Callers: "));
        !says_what || !says_who || errors::codes_in(errors_of(&comment)).is_empty()
    };
    let silent = rpcs_that(rpcs(), is_silent);
    none("RPCs whose comment lacks what they do, `Callers: ` or `Errors: ` with codes of gRPC", silent);
}

#[test]
fn every_reason_in_a_comment_is_documented() {
    let documented: BTreeSet<&str> = errors::sections().into_iter().map(|section| section.reason).collect();
    let comments = services().iter().map(service_comment).chain(rpcs().iter().map(rpc_comment)).collect::<Vec<_>>();
    let named: BTreeSet<&str> = comments.iter().flat_map(|comment| quoted(comment)).collect();
    assert!(named.contains("NODE_NOT_FOUND"), "comments are read: {named:?}");
    let unknown = named.into_iter().filter(|name| errors::is_reason(name) && !documented.contains(name));
    none("reasons (in backticks) that docs/errors.md does not explain", unknown);
}

#[test]
fn every_rpc_promises_reasons_with_their_codes() {
    let sections = errors::sections();
    let codes: BTreeMap<&str, &[&str]> = sections.iter().map(|one| (one.reason, one.codes.as_slice())).collect();
    let mut wrong = Vec::new();
    for rpc in rpcs() {
        for (code, reason) in promises(errors_of(&rpc_comment(&rpc))) {
            if codes.get(reason.as_str()).is_some_and(|codes| !codes.contains(&code)) {
                wrong.push(format!("{}: {code} (`{reason}`)", rpc.full_name()));
            }
        }
    }
    none("reasons under another code than in docs/errors.md", wrong);
}

#[test]
fn every_documented_error_says_what_to_do() {
    let is_incomplete = |section: &errors::Section| {
        !errors::is_reason(section.reason) || section.codes.is_empty() || !section.text.contains("\n- Do: ")
    };
    let incomplete = errors::sections().into_iter().filter(is_incomplete);
    none("sections of docs/errors.md without a reason, a code or `- Do: `", incomplete.map(|section| section.reason));
}

#[test]
fn the_table_of_errors_leads_to_their_sections() {
    let row = |(reason, link, codes): (&str, &str, Vec<&str>)| format!("[{reason}]({link}) | {}", codes.join(", "));
    let link = |reason: &str| format!("#{}", reason.to_lowercase());
    let expected: Vec<String> =
        errors::sections().into_iter().map(|one| row((one.reason, &link(one.reason), one.codes))).collect();
    let found: Vec<String> = errors::rows().into_iter().map(row).collect();
    none("rows of docs/errors.md's table without their section", found.iter().filter(|row| !expected.contains(row)));
    none("sections of docs/errors.md without their row", expected.iter().filter(|row| !found.contains(row)));
    assert_eq!(found.len(), expected.len(), "each once");
}

#[test]
fn no_number_is_unsigned() {
    let unsigned = [Kind::Uint32, Kind::Uint64, Kind::Fixed32, Kind::Fixed64];
    let breaking = fields().into_iter().filter(|field| unsigned.contains(&field.kind()));
    none("unsigned fields (AIP-141)", breaking.map(field_name));
}

#[test]
fn every_enum_begins_unspecified() {
    let breaking = enums().into_iter().map(|r#enum| r#enum.default_value());
    let breaking = breaking.filter(|first| first.number() != 0 || !first.name().ends_with("_UNSPECIFIED"));
    none("first values that don't end in _UNSPECIFIED (AIP-126)", breaking.map(|first| first.full_name().to_owned()));
}

#[test]
fn every_resource_has_its_name_first_and_an_etag() {
    let is_wrong = |resource: &MessageDescriptor| {
        let named = resource.get_field(1).is_some_and(|field| {
            field.name() == "name" && field.kind() == Kind::String && behaviors(&field) == ["IDENTIFIER"]
        });
        !named || !has(resource, "etag", Kind::String)
    };
    let resources: Vec<MessageDescriptor> = messages().into_iter().filter(is_resource).collect();
    assert!(!resources.is_empty());
    let breaking = resources.iter().filter(|resource| is_wrong(resource));
    none(
        "resources without `string name = 1`, IDENTIFIER (AIP-122), or `string etag` (AIP-154)",
        breaking.map(|resource| resource.full_name()),
    );
}

#[test]
fn every_time_is_called_a_time() {
    let is_time = |field: &FieldDescriptor| {
        field.kind().as_message().is_some_and(|message| message.full_name() == "google.protobuf.Timestamp")
    };
    let breaking = fields().into_iter().filter(|field| is_time(field) && !field.name().ends_with("_time"));
    let breaking = breaking.map(field_name).filter(|name| !KUBERNETES_TIMES.contains(&name.as_str()));
    none("timestamps that don't end in _time (AIP-142)", breaking);
}

/// Fails if anything breaks the rule, and names all that does.
#[track_caller]
fn none(of: &str, breaking: impl IntoIterator<Item = impl Into<String>>) {
    let breaking: Vec<String> = breaking.into_iter().map(Into::into).collect();
    assert!(breaking.is_empty(), "{of}:\n  {}", breaking.join("\n  "));
}

fn rpcs_that(rpcs: Vec<MethodDescriptor>, breaks: impl Fn(&MethodDescriptor) -> bool) -> impl Iterator<Item = String> {
    assert!(!rpcs.is_empty(), "the rule is about no RPC at all");
    rpcs.into_iter().filter(move |rpc| breaks(rpc)).map(|rpc| rpc.full_name().to_owned())
}

fn field_name(field: FieldDescriptor) -> String {
    field.full_name().to_owned()
}

fn has(message: &MessageDescriptor, name: &str, kind: Kind) -> bool {
    message.get_field_by_name(name).is_some_and(|field| field.kind() == kind && !field.is_list())
}

fn has_optional(message: &MessageDescriptor, name: &str, kind: Kind) -> bool {
    message.get_field_by_name(name).is_some_and(|field| is_optional(&field, kind))
}

fn is_optional(field: &FieldDescriptor, kind: Kind) -> bool {
    field.kind() == kind && !field.is_list() && behaviors(field) == ["OPTIONAL"]
}

/// The path with its variables' names left out: `/v1/{node.name=nodes/*}` is the same route as `/v1/{name=nodes/*}`.
fn without_variables(path: &str) -> String {
    path.split('{').map(|part| part.split_once('=').map_or(part, |(_, pattern)| pattern)).collect()
}

/// What stands in a comment after `Errors:`.
fn errors_of(comment: &str) -> &str {
    comment.split_once("\n Errors: ").map_or("", |(_, errors)| errors)
}

/// What stands in backticks.
fn quoted(comment: &str) -> impl Iterator<Item = &str> {
    comment.split('`').skip(1).step_by(2)
}

/// The reasons of `CODE (`REASON`, ...)`, each with its code.
fn promises(errors: &str) -> Vec<(&'static str, String)> {
    let mut code = None;
    let mut promises = Vec::new();
    for (index, part) in errors.split('`').enumerate() {
        if index % 2 == 0 {
            code = errors::codes_in(part).last().copied().or(code);
        } else if let Some(code) = code.filter(|_| errors::is_reason(part)) {
            promises.push((code, part.to_owned()));
        }
    }
    promises
}

fn proto_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let files = paths.flat_map(|path| if path.is_dir() { proto_files(&path) } else { vec![path] });
    files.filter(|file| file.extension().is_some_and(|extension| extension == "proto")).collect()
}
