//! The depth of the queue over time in both modes, as SVG.

use std::time::Duration;

use plotters::prelude::*;

use super::measured::Measured;
use super::plot_file::legend;
use crate::cli::Mode;

/// The most points that a line has: it is about 800 pixels wide, and the file stays small, however long the run was.
const POINTS: usize = 600;

/// The plot, as SVG.
pub fn draw(runs: &[Measured], caption: &str) -> Result<String, Box<dyn std::error::Error>> {
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
            .max_light_lines(1)
            .x_desc("seconds")
            .y_desc("keys in the work queue")
            .draw()?;
        for run in runs {
            let color = match run.mode {
                Mode::Direct => RGBColor(204, 85, 0),
                Mode::Cached => RGBColor(0, 95, 180),
            };
            let points = thinned(&run.depths).map(|(at, depth)| (at.as_secs_f64(), depth));
            let label = format!("{} (median {})", run.mode, run.median_depth());
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        legend(&mut chart, SeriesLabelPosition::MiddleRight)?;
        area.present()?;
    }
    Ok(svg)
}

/// At most [`POINTS`] of the samples, in order: the lowest and the highest of each group, so that no peak is lost.
fn thinned(samples: &[(Duration, usize)]) -> impl Iterator<Item = (Duration, usize)> {
    let size = if samples.len() <= POINTS { 1 } else { samples.len().div_ceil(POINTS / 2) };
    samples.chunks(size).flat_map(|group| {
        let lowest = group.iter().min_by_key(|(_, depth)| *depth);
        let highest = group.iter().max_by_key(|(_, depth)| *depth);
        let mut ends: Vec<_> = lowest.into_iter().chain(highest).copied().collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: usize) -> Vec<(Duration, usize)> {
        (0..count).map(|n| (Duration::from_millis(n as u64), n * 7919 % 1009)).collect()
    }

    #[test]
    fn few_samples_are_all_drawn() {
        assert!(thinned(&samples(POINTS)).eq(samples(POINTS)));
        assert_eq!(thinned(&[]).count(), 0);
    }

    #[test]
    fn of_many_samples_the_peaks_are_drawn_in_order() {
        for count in [POINTS + 1, 1500, 100_000] {
            let all = samples(count);
            let drawn: Vec<_> = thinned(&all).collect();
            assert!(drawn.len() <= POINTS && drawn.is_sorted(), "{count}: {}", drawn.len());
            let range = |of: &[(Duration, usize)]| {
                of.iter().map(|(_, depth)| *depth).fold((usize::MAX, 0), |(a, b), d| (a.min(d), b.max(d)))
            };
            assert_eq!(range(&drawn), range(&all), "{count}");
        }
    }

    #[test]
    fn the_picture_has_a_line_and_a_label_for_each_mode() {
        let mut runs = [Measured::example(Mode::Direct, 10_000), Measured::example(Mode::Cached, 100)];
        let svg = draw(&runs, "caption").unwrap();
        assert!(svg.contains("direct (median 5)") && svg.contains("cached (median 5)"), "{svg}");
        runs[0].depths = samples(1_000_000);
        assert!(draw(&runs, "caption").unwrap().len() < 60_000);
        for run in &mut runs {
            run.depths = Vec::new();
        }
        assert!(draw(&runs, "caption").is_ok());
    }
}
