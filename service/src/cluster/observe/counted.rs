//! The pods that budgets count on, on whichever node: some of them may be why a budget lets none go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{pending, select_all};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::Api;
use kube::core::Selector;

use super::view::{Shared, View};
use super::{Keep as _, Observer};
use crate::cluster::feed::Whole;

/// A namespace, and a selector of its pods.
type Selection = (String, String);

/// The watches of all who look.
pub(super) type Watches = Arc<Mutex<BTreeMap<Selection, Shared<Whole<Pod>>>>>;

/// A live view of the pods that some budgets count on. Each selection of pods is watched once, whoever looks at it, and only
/// while somebody does.
pub struct Counted {
    observer: Observer,
    views: BTreeMap<Selection, View<Pod>>,
}

impl Observer {
    /// The pods that no budget counts on, until it is told of some.
    pub fn counted(&self) -> Counted {
        Counted { observer: self.clone(), views: BTreeMap::new() }
    }

    fn pods_of(&self, selection: &Selection) -> View<Pod> {
        let mut watches = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|kept, watch| kept == selection || watch.is_running());
        let watch = watches.entry(selection.clone()).or_insert_with(|| {
            let (namespace, labels) = selection;
            let pods = Api::<Pod>::namespaced(self.client.clone(), namespace);
            Shared::new(Whole::keeping(pods, Pod::kept).with_labels(labels.clone()), "pods")
        });
        watch.view()
    }
}

impl Counted {
    /// Looks at the pods that these budgets count on, and at no others.
    pub fn look_at(&mut self, budgets: impl IntoIterator<Item = Arc<PodDisruptionBudget>>) {
        let mut views = BTreeMap::new();
        for selection in budgets.into_iter().filter_map(|budget| selection_of(&budget)) {
            let view = self.views.remove(&selection).unwrap_or_else(|| self.observer.pods_of(&selection));
            views.insert(selection, view);
        }
        self.views = views;
    }

    /// The pods now. One that several budgets count on is there once.
    pub fn all(&self) -> Vec<Arc<Pod>> {
        let pods = self.views.values().flat_map(View::all);
        let by_uid: BTreeMap<_, _> = pods.map(|pod| (pod.metadata.uid.clone(), pod)).collect();
        by_uid.into_values().collect()
    }

    /// Waits for a change, as `View::changed` does; for ever, if there is nothing to look at.
    pub async fn changed(&mut self) {
        if self.views.is_empty() {
            return pending().await;
        }
        select_all(self.views.values_mut().map(|view| Box::pin(view.changed()))).await;
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").field("selections", &self.views.keys()).finish_non_exhaustive()
    }
}

/// Which pods a budget counts on. None if it counts on none, or its selector is not valid.
fn selection_of(budget: &PodDisruptionBudget) -> Option<Selection> {
    let selector = budget.spec.as_ref()?.selector.clone()?;
    let labels = Selector::try_from(selector).ok()?.to_string();
    Some((budget.metadata.namespace.clone()?, labels))
}
