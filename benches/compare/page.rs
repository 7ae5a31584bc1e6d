//! The part of the page that is written by this program, between two markers.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::bars;
use crate::figures::Figures;
use crate::plots::Plot;
use crate::tables;

const BEGIN: &str = "<!-- written by `cargo run --release --example compare`: begin -->";
const END: &str = "<!-- end -->";

/// The most lines of what a peer does better.
const LOST: usize = 40;

pub(crate) fn text(figures: &Figures, plots: &[Plot]) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (about, is) in &figures.about {
        text.push_str(&format!("| {about} | {is} |\n"));
    }
    text.push_str(
        "\nThe first column of figures is ours. The columns of the peers are multiples of it: above 1, the peer needs \
         more.\n",
    );
    if let Some(rows) = bars::markdown(figures) {
        text.push_str(&format!("\n### Goals\n\nJudged by the median of the runs.\n\n{rows}"));
    }
    for table in &tables::ALL {
        if let Some(rows) = tables::markdown(figures, table) {
            text.push_str(&format!("\n### {}\n\n{rows}", table.title));
        }
    }
    for plot in plots {
        text.push_str(&format!("\n![{}](img/{})\n", plot.title, plot.file));
    }
    let lost = tables::lost(figures);
    text.push_str(&format!("\n### Where a peer needs less, {} of the figures above\n\n", lost.len()));
    for (times, line) in lost.iter().take(LOST) {
        text.push_str(&format!("- {times:.1} times less: {line}\n"));
    }
    if lost.len() > LOST {
        text.push_str(&format!("- and {} more\n", lost.len() - LOST));
    }
    text
}

/// Replaces the text between the markers of a page.
pub(crate) fn insert(page: &Path, text: &str) -> anyhow::Result<()> {
    let old = fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
    let new = replaced(&old, text).with_context(|| format!("{} has no markers", page.display()))?;
    fs::write(page, new).with_context(|| format!("write {}", page.display()))
}

fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = replaced(&page, "new\n").unwrap();
        assert!(
            once.starts_with("a\n")
                && once.ends_with("\nb\n")
                && once.contains("new")
                && !once.contains("old")
        );
        assert_eq!(replaced(&once, "new\n").as_ref(), Some(&once));
        assert_eq!(replaced("a\n", "new"), None);
    }
}
