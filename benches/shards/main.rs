//! What many members of `shard::Member` cost: computed, by the assignment that members use and a simple model of times.
//!
//! ```sh
//! cargo bench --bench shards             # tables for 10, 100 and 1,000 replicas
//! cargo bench --bench shards -- --test   # does it work? 3 replicas
//! ```
//!
//! In a rolling update, new replicas join, under other names, and as many old ones leave when the new ones have settled;
//! or a replica leaves and comes back under its name, and the others have its share meanwhile.

/// The folder of the modules below is this one.
#[path = "."]
mod member {
    #[path = "../../src/shard/member/assign.rs"]
    mod assign;
    pub(crate) mod rolling;
}
mod leases;
mod times;

use comfy_table::Table;
// The names by which `assign` knows them.
use kube_informer::shard::{Range, Ranges, hash};

use self::member::rolling::{Way, roll};

const OBJECTS: f64 = 10e6;

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    // `cargo test` runs it without `--bench`.
    let groups = match has("--test") || !has("--bench") {
        true => &[(3, 128)][..],
        false => &[(10, 128), (100, 128), (100, 1024), (1000, 4096)],
    };
    println!("A rolling update of all replicas, 10,000,000 objects");
    println!("{}", rolling(groups));
    println!("The Leases, and their watches");
    println!("{}", leases::table(groups));
    println!("Handing over, by the model of times");
    println!("{}", times::table(groups, OBJECTS));
}

fn rolling(groups: &[(usize, u16)]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "replicas, slots",
        "update",
        "largest share / mean",
        "slots moved, of all",
        "at most in a step",
        "lists",
        "objects listed, of all",
        "without the gate",
    ]);
    for &(replicas, slots) in groups {
        let at_once = (replicas / 4).max(1);
        let ways = [Way::New { at_once }, Way::New { at_once: 1 }, Way::SameName];
        // One by one, 1,000 replicas take minutes.
        let count = if replicas < 1000 { ways.len() } else { 1 };
        for way in &ways[..count] {
            let rolled = roll(replicas, slots, *way);
            table.add_row([
                format!("{replicas}, {slots}"),
                way.to_string(),
                format!("{:.2}", rolled.unevenness),
                format!("{:.2}x", rolled.moved),
                format!("{:.1} %", 100.0 * rolled.most),
                rolled.lists.to_string(),
                format!("{:.1}x", rolled.listed),
                format!("{}x", rolled.lists),
            ]);
        }
    }
    table
}
