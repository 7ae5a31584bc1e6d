//! The SVG file of a plot, and its legend. For the examples that draw.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use plotters::coord::CoordTranslate;
use plotters::prelude::*;

/// The file for the plot.
///
/// It is created before the runs, so a wrong path is reported at once and not half a minute later.
pub(crate) struct PlotFile<'a> {
    path: &'a Path,
    file: File,
}

// === impl PlotFile ===

impl<'a> PlotFile<'a> {
    /// # Errors
    ///
    /// When the file cannot be created.
    pub(crate) fn create(path: &'a Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("--plot {}: cannot be written", path.display()))?;
        Ok(Self { path, file })
    }

    /// # Errors
    ///
    /// When the plot could not be drawn, or the file cannot be written.
    pub(crate) fn write(mut self, svg: Result<String, Box<dyn Error>>) -> anyhow::Result<()> {
        let svg = svg.map_err(|error| anyhow!("draw the plot: {error}"))?;
        self.file.write_all(svg.as_bytes()).with_context(|| format!("--plot {}: write", self.path.display()))
    }
}

/// Draws the labels of all lines.
pub(crate) fn legend<'a, DB: DrawingBackend + 'a, CT: CoordTranslate>(
    chart: &mut ChartContext<'a, DB, CT>,
    at: SeriesLabelPosition,
) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
    chart
        .configure_series_labels()
        .position(at)
        .background_style(WHITE)
        .border_style(BLACK)
        .label_font(("sans-serif", 15))
        .draw()
}
