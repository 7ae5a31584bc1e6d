//! The queue's depth over time, of both modes, as an SVG file.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use plotters::prelude::*;

use super::measured::Measured;
use crate::cli::Mode;

/// A file that can be written, for a plot to come.
///
/// Opened before the runs: half a minute later would be late to say that it cannot be.
pub struct Plot<'a> {
    path: &'a Path,
    file: File,
}

// === impl Plot ===

impl<'a> Plot<'a> {
    /// # Errors
    ///
    /// When the file cannot be created.
    pub fn create(path: &'a Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("--plot {}: cannot be written", path.display()))?;
        Ok(Self { path, file })
    }

    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(mut self, runs: &[Measured], caption: &str) -> anyhow::Result<()> {
        let svg = draw(runs, caption).map_err(|error| anyhow!("draw the plot: {error}"))?;
        self.file.write_all(svg.as_bytes()).with_context(|| format!("--plot {}: write", self.path.display()))
    }
}

fn draw(runs: &[Measured], caption: &str) -> Result<String, Box<dyn std::error::Error>> {
    let seconds = runs.iter().map(|run| run.length.as_secs_f64()).fold(1.0, f64::max);
    let deepest = runs.iter().flat_map(|run| &run.depths).map(|(_, depth)| *depth).max().unwrap_or(0).max(10);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..seconds, 0..deepest + deepest / 10)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .x_desc("seconds")
            .y_desc("keys in the work queue")
            .draw()?;
        for run in runs {
            let color = match run.mode {
                Mode::Direct => RGBColor(204, 85, 0),
                Mode::Cached => RGBColor(0, 95, 180),
            };
            let points = run.depths.iter().map(|(at, depth)| (at.as_secs_f64(), *depth));
            let label = format!("{} (median {})", run.mode, run.median_depth());
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE)
            .border_style(BLACK)
            .label_font(("sans-serif", 15))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}
