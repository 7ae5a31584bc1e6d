//! Runs the benchmarks beside all peers, and writes what they measured into `docs/BENCHMARKS.md`, with plots.
//!
//! ```sh
//! cargo run --release --example compare              # about an hour, on a machine with no other work
//! cargo run --release --example compare -- --quick   # does it work? minutes, no useful figures
//! ```
//!
//! The peers in Go take part if `go` is installed.

mod args;
mod bars;
mod figures;
mod machine;
mod measure;
mod page;
mod plots;
mod tables;

use std::fs;

use anyhow::Context as _;
use clap::Parser as _;

use args::Args;
use figures::Figures;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let lines = match &args.from {
        Some(path) => fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?,
        None => {
            let lines = measure::all(&args)?;
            if let Some(path) = &args.save {
                fs::write(path, &lines).with_context(|| format!("write {}", path.display()))?;
            }
            lines
        }
    };
    let figures = Figures::parse(&lines)?;
    fs::create_dir_all(&args.plots).with_context(|| format!("create {}", args.plots.display()))?;
    let plots = plots::draw(&figures, &args.plots)?;
    let text = page::text(&figures, &plots);
    page::insert(&args.page, &text)?;
    println!("{} figures: {}, and plots in {}", figures.len(), args.page.display(), args.plots.display());
    Ok(())
}
