//! The result: a table, and a plot of what each change recomputes.

use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use plotters::prelude::*;

use crate::plot_file::legend;
use crate::simulation::{Kind, Measured, Run};

/// A number of objects.
type Count = fn(&Measured) -> u64;

/// The table, with the statistics of the graph.
pub(crate) fn table(run: &Run) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(["change", "times", "recomputed", "all objects", "tick", "plain", "plain / tick"]);
    for kind in Kind::ALL {
        let changes: Vec<_> = run.changes.iter().filter(|change| change.kind == kind).collect();
        if !changes.is_empty() {
            table.add_row(row(kind.name(), &changes));
        }
    }
    table.add_row(row("all changes", &run.changes.iter().collect::<Vec<_>>()));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let stats = run.stats.nodes.iter().map(|node| format!("  {node}\n")).collect::<String>();
    format!(
        "{table}\nMedians of one change: the Pods and Services that the graph recomputes, and those that a plain \
         recomputation\nvisits; how long both take. After each change both had the same result.\n\n{stats}"
    )
}

fn row(name: &str, changes: &[&Measured]) -> [String; 7] {
    let tick = median(changes, |change| change.tick);
    let plain = median(changes, |change| change.plain);
    [
        name.to_owned(),
        changes.len().to_string(),
        median(changes, |change| change.recomputed).to_string(),
        median(changes, |change| change.everything).to_string(),
        time(tick),
        time(plain),
        format!("{:.0}x", plain.as_secs_f64() / tick.as_secs_f64().max(1e-9)),
    ]
}

fn median<V: Ord + Copy + Default>(changes: &[&Measured], value: impl Fn(&Measured) -> V) -> V {
    let mut values: Vec<V> = changes.iter().map(|change| value(change)).collect();
    values.sort();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    if micros < 1_000.0 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1e3) }
}

/// The plot, as SVG.
pub(crate) fn draw(run: &Run) -> Result<String, Box<dyn std::error::Error>> {
    let most = run.changes.iter().map(|change| change.everything).max().unwrap_or(1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (900, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let caption = format!("What one change recomputes: {} Services, {} Pods", run.services, run.pods);
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 19))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(0..run.changes.len().max(2), (0.8..most as f64 * 20.0).log_scale())?;
        chart
            .configure_mesh()
            .max_light_lines(1)
            .x_desc("change")
            .y_desc("objects (logarithmic)")
            .y_label_formatter(&|count| format!("{count:.0}"))
            .draw()?;
        let (orange, blue) = (RGBColor(204, 85, 0), RGBColor(0, 95, 180));
        let line = |value: Count| {
            run.changes.iter().enumerate().map(move |(at, change)| (at, value(change).max(1) as f64))
        };
        let series: [(_, _, Count); 2] =
            [("everything", orange, |it| it.everything), ("derived collection", blue, |it| it.recomputed)];
        for (label, color, value) in series {
            chart
                .draw_series(LineSeries::new(line(value), color.stroke_width(1)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)?;
        area.present()?;
    }
    Ok(svg)
}
