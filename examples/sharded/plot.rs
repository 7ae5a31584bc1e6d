//! The part that each replica works on, and the reconciles, over time, as SVG.

use std::error::Error;

use plotters::prelude::*;

use crate::unix::board::{Replica, State};
use crate::unix::plot_file::legend;

/// The colors of the replicas, one after the other.
const COLORS: [RGBColor; 8] = [
    RGBColor(0, 95, 180),
    RGBColor(204, 85, 0),
    RGBColor(0, 130, 70),
    RGBColor(170, 30, 120),
    RGBColor(110, 85, 0),
    RGBColor(0, 140, 160),
    RGBColor(100, 60, 170),
    RGBColor(160, 40, 40),
];
/// The room for the labels of the replicas, at the right.
const WIDER: f64 = 1.18;
const GRAY: RGBColor = RGBColor(110, 110, 110);

/// The plot, as SVG.
///
/// # Errors
///
/// When it cannot be drawn.
pub fn draw(state: &State, (begin, end): (u64, u64)) -> Result<String, Box<dyn Error>> {
    let seconds = |at: u64| at.saturating_sub(begin) as f64 / 1e6;
    let length = seconds(end).max(1.0);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 620)).into_drawing_area();
        area.fill(&WHITE)?;
        let (upper, lower) = area.split_vertically(420);
        let mut chart = ChartBuilder::on(&upper)
            .caption("The part of the objects that each replica works on", ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(24)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..length * WIDER, 0.0..1.0)?;
        let percent = |part: &f64| format!("{:.0} %", part * 100.0);
        chart.configure_mesh().max_light_lines(1).y_label_formatter(&percent).draw()?;
        for (at, (when, what)) in state.faults.iter().enumerate() {
            let x = seconds(*when);
            chart.draw_series([PathElement::new([(x, 0.0), (x, 1.0)], GRAY)])?;
            // Labels of faults that are close to each other are on different lines.
            let y = 0.98 - 0.045 * (at % 8) as f64;
            let label = if few(&state.faults) { what.clone() } else { short(what) };
            chart.draw_series([Text::new(label, (x + length / 200.0, y), ("sans-serif", 13))])?;
        }
        for (replica, color) in state.replicas.iter().zip(COLORS.iter().cycle()) {
            let points = steps(replica, end).map(|(at, part)| (seconds(at), part));
            chart
                .draw_series(LineSeries::new(points, color.stroke_width(2)))?
                .label(replica.name.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        if few(&state.replicas) && !state.replicas.is_empty() {
            legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        }

        let rates = rates(&state.reconciled, begin, end);
        let most = rates.iter().copied().max().unwrap_or(0).max(10);
        let mut chart = ChartBuilder::on(&lower)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..length * WIDER, 0..most + most / 10)?;
        chart.configure_mesh().max_light_lines(1).x_desc("seconds").y_desc("reconciles/s").draw()?;
        for (when, _) in &state.faults {
            let x = seconds(*when);
            chart.draw_series([PathElement::new([(x, 0), (x, most)], GRAY)])?;
        }
        let points = rates.iter().enumerate().map(|(second, rate)| (second as f64 + 0.5, *rate));
        chart.draw_series(LineSeries::new(points, BLACK.stroke_width(1)))?;
        area.present()?;
    }
    Ok(svg)
}

/// Whether there is room for their labels, and a color for each.
fn few<T>(of: &[T]) -> bool {
    of.len() <= COLORS.len()
}

/// `3 killed`.
fn short(what: &str) -> String {
    what.replacen("replica-", "", 1).replacen(" is ", " ", 1)
}

/// The part of a replica, as the corners of a line of steps.
fn steps(replica: &Replica, end: u64) -> impl Iterator<Item = (u64, f64)> {
    let until = replica.shares.iter().skip(1).map(|(at, _)| *at).chain([end]);
    replica.shares.iter().zip(until).flat_map(|((at, part), until)| [(*at, *part), (until.max(*at), *part)])
}

/// The reconciles of each second.
fn rates(reconciled: &[(u64, u64)], begin: u64, end: u64) -> Vec<u64> {
    let second = |at: u64| usize::try_from(at.saturating_sub(begin) / 1_000_000).unwrap_or(usize::MAX);
    let mut rates = vec![0; second(end) + 1];
    for (at, count) in reconciled {
        if let Some(rate) = rates.get_mut(second(*at)) {
            *rate += count;
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plot_has_a_line_for_each_replica_and_a_label_for_each_fault() {
        let mut state = State::default();
        state.start();
        state.start();
        let count = |svg: &str| svg.matches("<polyline").count();
        let (begin, end) = (state.replicas[0].shares[0].0, state.replicas[1].shares[0].0 + 5_000_000);
        let lines = count(&draw(&State::default(), (begin, end)).unwrap());
        state.replicas.iter_mut().for_each(|replica| replica.shares.push((begin + 1_000_000, 0.5)));
        let svg = draw(&state, (begin, end)).unwrap();
        assert_eq!(count(&svg), lines + 4, "with the legend");
        assert!(svg.contains("replica-1") && svg.contains("replica-2"));
        state.fault("replica-1 is killed".to_owned());
        assert!(draw(&state, (begin, end)).unwrap().contains("replica-1 is killed"));
        for _ in 0..COLORS.len() {
            state.fault("replica-12 is paused for 3 s".to_owned());
        }
        let svg = draw(&state, (begin, end)).unwrap();
        assert!(svg.contains("12 paused for 3 s") && !svg.contains("is killed"), "many labels are short");
    }

    #[test]
    fn a_share_is_drawn_until_the_next_one() {
        let mut state = State::default();
        state.start();
        let replica = &mut state.replicas[0];
        replica.shares = vec![(1, 0.0), (3, 0.5)];
        assert_eq!(steps(replica, 9).collect::<Vec<_>>(), [(1, 0.0), (3, 0.0), (3, 0.5), (9, 0.5)]);
    }

    #[test]
    fn reconciles_are_counted_by_the_second() {
        let reconciled = [(1_000_000, 5), (1_500_000, 7), (3_000_000, 1), (99_000_000, 4)];
        assert_eq!(rates(&reconciled, 1_000_000, 3_500_000), [12, 0, 1]);
    }
}
