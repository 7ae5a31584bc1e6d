//! Plots of the figures, as SVG.

use std::error::Error;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use plotters::prelude::*;

use crate::figures::{Figures, OURS, What};

/// A plot that was drawn.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) file: &'static str,
}

/// A line of a peer.
struct Line {
    label: String,
    points: Vec<(f64, f64)>,
}

struct Axes {
    x: &'static str,
    y: &'static str,
    /// What the marks of the horizontal axis stand for.
    marks: fn(f64) -> String,
    /// Whether the vertical axis counts powers of ten, too.
    logarithmic: bool,
}

/// Of the peers, one after another: all are readable on white.
const COLORS: [RGBColor; 8] = [
    RGBColor(204, 85, 0),
    RGBColor(0, 128, 80),
    RGBColor(140, 60, 160),
    RGBColor(180, 20, 60),
    RGBColor(110, 110, 110),
    RGBColor(120, 90, 20),
    RGBColor(0, 140, 150),
    RGBColor(70, 70, 70),
];

/// Those that there are figures for.
pub(crate) fn draw(figures: &Figures, folder: &Path) -> anyhow::Result<Vec<Plot>> {
    let plots = [
        (
            Plot { title: "Look-up of one object over the number of objects", file: "lookup.svg" },
            lookup(figures),
            Axes { x: "objects", y: "ns", marks: |x| format!("10^{x:.0}"), logarithmic: true },
        ),
        (
            Plot { title: "Reads during a list where all has changed", file: "relist-reads.svg" },
            reads(figures),
            Axes { x: "reads", y: "ns", marks: quantile, logarithmic: true },
        ),
        (
            Plot { title: "One update over the number of indexes", file: "write.svg" },
            over_indexes(figures, "write", "ns"),
            Axes { x: "indexes", y: "us", marks: |x| format!("{x:.0}"), logarithmic: false },
        ),
        (
            Plot { title: "Memory for each object beside the object", file: "memory.svg" },
            over_indexes(figures, "memory", "bytes"),
            Axes { x: "indexes", y: "bytes", marks: |x| format!("{x:.0}"), logarithmic: false },
        ),
    ];
    let mut drawn = Vec::new();
    for (plot, lines, axes) in plots {
        if lines.is_empty() {
            continue;
        }
        let svg = svg(plot.title, &lines, &axes).map_err(|error| anyhow!("draw {}: {error}", plot.file))?;
        fs::write(folder.join(plot.file), svg).with_context(|| format!("write {}", plot.file))?;
        drawn.push(plot);
    }
    Ok(drawn)
}

fn lookup(figures: &Figures) -> Vec<Line> {
    let whats: Vec<_> = figures.of("lookup").filter(|what| what.op == "get_hit").collect();
    lines(figures, &whats, |what, peer| vec![((what.n as f64).log10(), figures.get(what, peer, "ns"))])
}

/// Of the largest list.
fn reads(figures: &Figures) -> Vec<Line> {
    let largest = figures.of("relist").filter(|what| what.op == "all").max_by_key(|what| what.n);
    let whats: Vec<_> = largest.into_iter().collect();
    lines(figures, &whats, |what, peer| {
        let max = figures.get(what, peer, "read_max_us").map(|micros| micros * 1e3);
        vec![
            (0.0, figures.get(what, peer, "read_p50_ns")),
            (1.0, figures.get(what, peer, "read_p999_ns")),
            (2.0, max),
        ]
    })
}

fn quantile(x: f64) -> String {
    ["p50", "p99.9", "longest"].get(x as usize).map_or_else(String::new, |name| (*name).to_owned())
}

/// The operations `<k>-index` of the largest number of objects.
fn over_indexes(figures: &Figures, area: &str, name: &'static str) -> Vec<Line> {
    let indexes = |what: &What| what.op.strip_suffix("-index").and_then(|count| count.parse::<f64>().ok());
    let largest = figures.of(area).filter(|what| indexes(what).is_some()).map(|what| what.n).max();
    let whats: Vec<_> =
        figures.of(area).filter(|what| indexes(what).is_some() && Some(what.n) == largest).collect();
    let unit = if area == "write" { 1e-3 } else { 1.0 };
    lines(figures, &whats, |what, peer| {
        let count = indexes(what).unwrap_or_default();
        vec![(count, figures.get(what, peer, name).map(|value| value * unit))]
    })
}

/// A line for each peer, of the points that it has.
fn lines(
    figures: &Figures,
    whats: &[&What],
    points: impl Fn(&What, &str) -> Vec<(f64, Option<f64>)>,
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for what in whats {
        for peer in figures.peers(what) {
            let there = points(what, peer).into_iter().filter_map(|(x, y)| Some((x, y?)));
            let there: Vec<_> = there.filter(|(_, y)| *y > 0.0).collect();
            match lines.iter_mut().find(|line| line.label == peer) {
                Some(line) => line.points.extend(there),
                None => lines.push(Line { label: peer.to_owned(), points: there }),
            }
        }
    }
    for line in &mut lines {
        line.points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    lines.retain(|line| !line.points.is_empty());
    lines
}

fn svg(title: &str, lines: &[Line], axes: &Axes) -> Result<String, Box<dyn Error>> {
    // A logarithmic axis is one of logarithms: its marks are whole powers of ten.
    let height = |y: f64| if axes.logarithmic { y.log10() } else { y };
    let points = || lines.iter().flat_map(|line| line.points.iter().map(|(x, y)| (*x, height(*y))));
    let (left, right) = points().fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(x), b.max(x)));
    let (low, high) = points().fold((0.0, f64::MIN), |(a, b): (f64, f64), (_, y)| (a.min(y), b.max(y)));
    let (left, right) = if left == right { (left - 1.0, right + 1.0) } else { (left, right) };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 460)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 19))
            .margin(12)
            .margin_right(30)
            .x_label_area_size(40)
            .y_label_area_size(64)
            .build_cartesian_2d(left..right, low..high * 1.05)?;
        let marks = |x: &f64| if x.fract() == 0.0 { (axes.marks)(*x) } else { String::new() };
        let power = |y: &f64| if y.fract() == 0.0 { format!("10^{y:.0}") } else { String::new() };
        let plain = |y: &f64| format!("{y:.0}");
        chart
            .configure_mesh()
            .max_light_lines(1)
            .x_desc(axes.x)
            .y_desc(axes.y)
            .x_label_formatter(&marks)
            .y_label_formatter(if axes.logarithmic { &power } else { &plain })
            .draw()?;
        for (at, line) in lines.iter().enumerate() {
            let is_ours = line.label == OURS;
            let color = if is_ours { RGBColor(0, 95, 180) } else { COLORS[at % COLORS.len()] };
            let style = color.stroke_width(if is_ours { 3 } else { 2 });
            let points: Vec<_> = line.points.iter().map(|(x, y)| (*x, height(*y))).collect();
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style))?
                .label(line.label.clone())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .label_font(("sans-serif", 15))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_line_for_each_peer() {
        let lines: String = [(0, OURS, 100.0), (2, OURS, 200.0), (0, "kube-store", 230.0)]
            .iter()
            .map(|(k, peer, bytes)| {
                format!("{{\"id\": \"memory/{k}-index/1000/{peer}\", \"bytes\": {bytes}, \"rounds\": [{bytes}]}}\n")
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let drawn = draw(&Figures::parse(&lines).unwrap(), folder.path()).unwrap();
        assert_eq!(drawn.iter().map(|plot| plot.file).collect::<Vec<_>>(), ["memory.svg"]);
        let svg = fs::read_to_string(folder.path().join("memory.svg")).unwrap();
        assert!(svg.contains(OURS) && svg.contains("kube-store"), "{svg}");
    }
}
