"""Draws the panels of a Grafana dashboard with the data of a Prometheus. See draw.sh."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import matplotlib
from PIL import Image

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402

STEP = 2
BACKGROUND, PANEL, TEXT, GRID = "#111217", "#181b1f", "#ccccdc", "#2c3235"
COLOURS = ["#73bf69", "#5794f2", "#f2cc0c", "#ff780a", "#f2495c", "#b877d9", "#8ab8ff", "#fade2a"]


def ask(server, path, **query):
    """The result of a query; Prometheus' own message if it refuses the expression."""
    try:
        with urllib.request.urlopen(f"{server}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)["data"]["result"]
    except urllib.error.HTTPError as refused:
        sys.exit(f"draw: {query['query']}: {json.load(refused).get('error', refused)}")


def expression(target):
    """The expression with the values that Grafana would fill in: every kind, scope, controller and queue."""
    text = target["expr"].replace("$__rate_interval", "20s")
    for variable in ("kind", "scope", "controller", "queue"):
        text = text.replace(f'"${variable}"', '".*"')
    return text


def legend(target, labels):
    text = target.get("legendFormat") or ""
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text or " ".join(value for name, value in sorted(labels.items()) if name != "__name__")


def with_unit(value, unit):
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "s":
        for size, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= size:
                return f"{value / size:.3g} {name}"
        return "0 s"
    return f"{value:,.3g}" + ("/s" if unit in ("ops", "reqps") else "")


def draw(server, dashboard, seconds, file):
    with open(dashboard, encoding="utf-8") as source:
        panels = json.load(source)["panels"]
    end = time.time()
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    plt.rcParams.update({"text.color": TEXT, "font.size": 7})
    figure = plt.figure(figsize=(15, rows * 0.28), facecolor=BACKGROUND)
    drawn = 0
    for panel in panels:
        at, unit = panel["gridPos"], panel.get("fieldConfig", {}).get("defaults", {}).get("unit")
        left, top = (at["x"] + 0.35) / 24, 1 - (at["y"] + 0.25) / rows
        width, height = (at["w"] - 0.5) / 24, (at["h"] - 0.4) / rows
        if panel["type"] == "row":
            figure.text(left - 0.01, top - height / 2, panel["title"], fontsize=10, fontweight="bold", va="center")
            continue
        figure.add_artist(plt.Rectangle((left - 0.01, top - height), width + 0.01, height, facecolor=PANEL,
                                        edgecolor=GRID, linewidth=0.6, zorder=-1))
        figure.text(left - 0.004, top - 0.0055, panel["title"], fontsize=8, va="top")
        if panel["type"] == "stat":
            found = [float(one["value"][1]) for target in panel["targets"]
                     for one in ask(server, "query", query=expression(target), time=end)]
            text = with_unit(found[0], unit) if found else "no data"
            figure.text(left + width / 2, top - height * 0.6, text, fontsize=16, color=COLOURS[0], ha="center",
                        va="center")
            drawn += bool(found)
            continue
        axes = figure.add_axes((left + 0.028, top - height + 0.016, width - 0.045, height - 0.034))
        axes.set_facecolor(PANEL)
        series = 0
        for target in panel["targets"]:
            for one in ask(server, "query_range", query=expression(target), start=end - seconds, end=end, step=STEP):
                points = [(float(at) - end, float(value)) for at, value in one["values"] if value != "NaN"]
                if points:
                    axes.plot(*zip(*points), linewidth=0.9, color=COLOURS[series % len(COLOURS)],
                              label=legend(target, one["metric"]))
                    series += 1
        drawn += bool(series)
        axes.set_xlim(-seconds, 0)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:.0f} s" if at else "now"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: with_unit(value, unit)))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.tick_params(colors=TEXT, labelsize=6, length=0)
        axes.grid(color=GRID, linewidth=0.5)
        for side in axes.spines.values():
            side.set_visible(False)
        if series:
            axes.legend(fontsize=5.5, loc="upper left", frameon=False, labelcolor=TEXT, ncols=2, handlelength=1)
        else:
            axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center")
    figure.savefig(file, facecolor=BACKGROUND)
    Image.open(file).convert("RGB").quantize(64).save(file, optimize=True)
    if not drawn:
        sys.exit("draw: Prometheus has no data for any panel")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: draw.py PROMETHEUS DASHBOARD SECONDS FILE")
    draw(sys.argv[1].rstrip("/"), sys.argv[2], int(sys.argv[3]), sys.argv[4])
