//! What happens to an object of two parts, step by step.

use super::*;
use crate::store::intake::Store;

type Part = Intake<Box<Served>, Value>;

/// Two parts of all namespaces, both listed.
struct Two {
    store: Arc<Store<Box<Served>, Value>>,
    parts: [Part; 2],
}

impl Two {
    fn new() -> Self {
        let store = harness().intake.store.clone();
        now(store.writer()).set_parts([(1, None), (2, None)]);
        let mut two = Self { parts: [1, 2].map(|id| Intake::of(&store, id, None)), store };
        two.parts.iter_mut().for_each(|part| list(part, 10, []));
        two
    }

    fn view(&self) -> crate::Snapshot<Value> {
        now(self.store.writer()).validate();
        now(self.store.writer()).shared().snapshot()
    }

    fn shows(&self) -> Option<u64> {
        let view = self.view();
        let object = view.get(("ns", "a"))?;
        Obj::resource_version(object).as_number()
    }
}

fn list(part: &mut Part, version: u64, items: impl IntoIterator<Item = Item<Box<Served>>>) {
    let mut list = part.begin_list(Reuse::Unchanged);
    items.into_iter().for_each(|item| part.upsert(&mut list, Ok(item)));
    now(part.commit(list, Some(ResourceVersion::from_number(version)))).expect("it is new");
}

fn at(version: u64, manner: Manner) -> Item<Box<Served>> {
    item(&ObjectKey::new("ns", "a"), 1, version, Served { manner, ..good(version) })
}

fn apply(part: &mut Part, event: WatchEvent<Box<Served>>) {
    now(part.apply(&mut vec![event])).expect("it is new");
}

fn deleted(version: u64) -> WatchEvent<Box<Served>> {
    WatchEvent::Deleted(Ok(at(version, Manner::Good).meta))
}

#[test]
fn an_object_that_the_projection_skips_is_of_no_part() {
    let mut two = Two::new();
    for part in &mut two.parts {
        apply(part, applied(at(11, Manner::Good)));
    }
    let [all, some] = &mut two.parts;
    apply(all, applied(at(12, Manner::LeftOut)));
    apply(some, deleted(12));
    assert_eq!(two.shows(), None);
}
