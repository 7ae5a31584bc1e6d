//! Many short rounds, in each of which all cases have a turn: a busy neighbour slows all of them, or a round that the
//! median leaves out.

use comfy_table::Table;
use serde_json::{Map, Value, json};

/// What the command line asks for.
pub(crate) struct Options {
    /// Only whether it works: `--test`, and whatever is not `cargo bench`.
    pub(crate) smoke: bool,
    pub(crate) json: bool,
    pub(crate) rounds: usize,
    /// Parts of ids.
    filters: Vec<String>,
}

/// What is measured under one id.
pub(crate) struct Case {
    pub(crate) id: String,
    /// Measures once. Each round gets its number.
    pub(crate) run: Box<dyn FnMut(usize) -> Sample>,
}

/// Figures by name. The first is the one that ratios are made of.
pub(crate) type Sample = Vec<(&'static str, f64)>;

/// The figures of all cases.
pub(crate) struct Report {
    json: bool,
    rows: Vec<(String, Sample, Vec<f64>)>,
}

// === impl Options ===

impl Options {
    /// `rounds`, unless the command line has another number of them.
    pub(crate) fn from_args(rounds: usize) -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut options = Self { smoke: true, json: false, rounds, filters: Vec::new() };
        let mut test = false;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => options.smoke = false,
                "--test" => test = true,
                "--json" => options.json = true,
                "--rounds" => {
                    options.rounds = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(rounds);
                }
                filter if !filter.starts_with('-') => options.filters.push(filter.to_owned()),
                _ => {}
            }
        }
        options.smoke |= test;
        if options.smoke {
            options.rounds = 1;
        }
        options
    }

    pub(crate) fn wants(&self, id: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| id.contains(filter.as_str()))
    }

    /// The sizes to measure: the usual ones, and a million if the environment asks for it.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let million = std::env::var_os("KUBE_INFORMER_MILLION").map(|_| 1_000_000);
        let usual = if self.smoke { vec![1_000] } else { vec![1_000, 10_000, 100_000] };
        usual.into_iter().chain(million.filter(|_| !self.smoke)).collect()
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(options: &Options) -> Self {
        Self { json: options.json, rows: Vec::new() }
    }

    /// Measures all cases. A first round, which warms up, does not count.
    pub(crate) fn measure(&mut self, options: &Options, mut cases: Vec<Case>) {
        let mut samples: Vec<Vec<Sample>> = cases.iter().map(|_| Vec::new()).collect();
        let warm_up = usize::from(!options.smoke);
        for round in 0..options.rounds + warm_up {
            for turn in 0..cases.len() {
                // Forwards and backwards by turns: no case always follows the same one.
                let at = if round % 2 == 0 { turn } else { cases.len() - 1 - turn };
                let sample = (cases[at].run)(round);
                if round >= warm_up {
                    samples[at].push(sample);
                }
            }
        }
        for (case, samples) in cases.into_iter().zip(samples) {
            self.add(case.id, &samples);
        }
    }

    /// Adds what was measured, in one or more rounds.
    pub(crate) fn add(&mut self, id: String, samples: &[Sample]) {
        let names: Vec<_> = samples[0].iter().map(|(name, _)| *name).collect();
        let all = |at: usize| samples.iter().map(|sample| sample[at].1).collect::<Vec<_>>();
        let medians = names.iter().enumerate().map(|(at, name)| (*name, median(all(at)))).collect();
        let row = (id, medians, all(0));
        if self.json {
            println!("{}", line(&row));
        }
        self.rows.push(row);
    }

    /// Prints the table, unless each row was printed already.
    pub(crate) fn print(self) {
        if self.json {
            return;
        }
        let mut table = Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["id", "median", "least", "most", "of which"]);
        for (id, medians, rounds) in self.rows {
            let (unit, first) = medians[0];
            let least = rounds.iter().copied().fold(f64::INFINITY, f64::min);
            let most = rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let rest: Vec<_> =
                medians[1..].iter().map(|(name, value)| format!("{name} {}", digits(*value))).collect();
            table.add_row([
                id,
                format!("{} {unit}", digits(first)),
                digits(least),
                digits(most),
                rest.join(", "),
            ]);
        }
        println!("{table}");
    }
}

/// One line of JSON: the medians by name, and the first figure of every round.
fn line((id, medians, rounds): &(String, Sample, Vec<f64>)) -> Value {
    let medians = medians.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
    let mut line: Map<String, Value> = [("id".to_owned(), json!(id))].into_iter().chain(medians).collect();
    line.insert("rounds".to_owned(), json!(rounds));
    Value::Object(line)
}

/// Three digits or more.
fn digits(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
