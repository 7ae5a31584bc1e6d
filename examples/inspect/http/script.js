"use strict";

// Draws /state.json once a second. Text from the server is only ever set as text.

const EVERY = 1000;
const TONES = { watching: "good", polling: "good", listing: "warn", "backing off": "warn", absent: "warn", stopped: "bad" };
// Each watch that ends makes an informer stale for a moment.
const STALE = 1;

function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value != null) element.setAttribute(key, value);
  element.append(...children.filter((child) => child != null));
  return element;
}

const number = new Intl.NumberFormat("en");
const count = (value) => number.format(value);

function seconds(value) {
  if (value == null) return "–";
  if (value === 0) return "0";
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  return `${Math.round(value / 3600)} h`;
}

// The last two minutes, from the right; a constant is a line in the middle.
function sparkline(values, label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const [width, height, samples] = [240, 52, 120];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  if (values.length < 2) return svg;
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const shown = Math.max(values.length - 1, Math.min(samples - 1, 20));
  const x = (i) => width - ((values.length - 1 - i) * width) / shown;
  const y = (value) => (high === low ? height / 2 : height - 3 - ((value - low) / (high - low)) * (height - 6));
  const line = values.map((value, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`).join("");
  for (const [name, path] of [["area", `${line}V${height}H${x(0).toFixed(1)}Z`], ["line", line]]) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", "path");
    element.setAttribute("class", name);
    element.setAttribute("d", path);
    svg.append(element);
  }
  return svg;
}

function fact(name, value, { tone, note, title } = {}) {
  return el("div", { title }, el("dt", {}, name), el("dd", { class: tone }, value, note && el("small", {}, note)));
}

function graph(value, unit, history, label) {
  return el("div", { class: "graph" },
    el("div", {}, el("div", { class: "value" }, count(value)), el("div", { class: "label" }, unit)),
    sparkline(history, label));
}

function index({ name, keys, largest }, objects) {
  const shown = largest.reduce((sum, key) => sum + key.objects, 0);
  const part = (size, attributes) => {
    const bar = el("i", attributes);
    bar.style.flexGrow = size;
    return bar;
  };
  const bars = largest.map((key, i) => {
    const bar = part(key.objects, { title: `${key.key ?? `key ${i + 1}`}: ${count(key.objects)}` });
    bar.style.opacity = 1 - (0.75 * i) / largest.length;
    return bar;
  });
  if (keys > largest.length && objects > shown) bars.push(part(objects - shown, { class: "rest", title: "other keys" }));
  const named = largest.filter((key) => key.key != null).map((key) => `${key.key} ${count(key.objects)}`);
  return el("div", { class: "index" },
    el("p", {}, `by ${name}`, el("span", {},
      keys ? `${count(keys)} ${keys === 1 ? "key" : "keys"}, largest ${count(largest[0].objects)}` : "no keys")),
    keys ? el("div", { class: "bar" }, ...bars) : null,
    named.length ? el("p", { class: "keys" }, named.join(" · ")) : null);
}

function informer(one) {
  const relists = Object.entries(one.relists);
  const causes = relists.map(([cause, times]) => `${times} ${cause.replaceAll("_", " ")}`).join(", ");
  const stale = one.stale >= STALE;
  const phase = stale ? `${one.phase}, stale for ${seconds(one.stale)}` : one.phase;
  const tone = stale && one.phase !== "polling" ? "bad" : TONES[one.phase];
  return el("article", { class: "informer", "data-kind": one.kind },
    el("div", { class: "head" },
      el("div", {}, el("h3", {}, one.kind), el("div", { class: "scope" }, one.scope)),
      el("span", { class: `phase ${tone ?? ""}` }, phase)),
    graph(one.objects, one.objects === 1 ? "object" : "objects", one.history, `objects of ${one.kind}`),
    el("dl", {},
      fact("Last event", one.lastEvent == null ? "none yet" : `${seconds(one.lastEvent)} ago`),
      fact("Relists", count(relists.reduce((sum, [, times]) => sum + times, 0)), { note: causes || null }),
      fact("Watch restarts", count(one.watchRestarts), { title: `${one.watches} watches, ${one.lists} lists` }),
      fact("Errors", count(one.errors)),
      fact("Invalid", count(one.invalid), { tone: one.invalid ? "bad" : null }),
      fact("Subscribers", count(one.subscribers),
        { note: one.lag ? `${count(one.lag)} behind, ${seconds(one.lagTime)}` : null, title: `${one.pinned} old versions in memory` })),
    ...(one.indexes ?? []).filter((one) => one.keys > 0).map((each) => index(each, one.objects)),
    one.names?.length ? el("p", { class: "names" }, one.names.join(" "), one.objects > one.names.length ? " …" : "") : null);
}

// Pairs of a name and Timings.
function timings(...rows) {
  const row = ([name, timings]) => el("tr", {}, el("th", { scope: "row" }, name),
    ...["p50", "p99", "max"].map((key) => el("td", {}, seconds(timings?.count ? timings[key] : null))));
  const head = ["", "median", "p99", "longest"].map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows.map(row)));
}

function queue(one) {
  return el("article", { class: "queue" },
    el("div", { class: "head" }, el("h3", {}, one.name)),
    graph(one.depth, one.depth === 1 ? "key waits" : "keys wait", one.history, `depth of ${one.name}`),
    timings(["in the queue", one.wait], ["work", one.work]),
    el("dl", {},
      fact("Working on", count(one.processing), { note: one.processing ? `oldest ${seconds(one.longest)}` : null }),
      fact("Delayed", count(one.delayed)),
      fact("Done", count(one.work.count)),
      fact("Adds", count(one.adds)),
      fact("Retries", count(one.retries))));
}

const waiting = (controller) => Object.values(controller.depth).reduce((sum, keys) => sum + keys, 0);

function controller(one) {
  const depth = waiting(one);
  const [phase, tone] = !one.running ? [one.runs ? "stopped" : "not started", "bad"]
    : one.firstPass ? ["running", "good"] : ["first pass", "warn"];
  const pass = one.firstPass;
  const { succeeded, skipped, "not held": notHeld, ...failures } = one.results;
  const others = [[skipped, "skipped"], [notHeld, "of other replicas"]].filter(([times]) => times > 0);
  const failed = Object.entries(failures).filter(([, times]) => times > 0);
  return el("article", { class: "controller" },
    el("div", { class: "head" }, el("h3", {}, one.name), el("span", { class: `phase ${tone}` }, phase)),
    graph(depth, depth === 1 ? "key waits" : "keys wait", one.history, `depth of ${one.name}`),
    timings(["in the queue", one.wait], ["reconcile", one.durations]),
    el("dl", {},
      fact("Succeeded", count(succeeded), { note: others.map(([times, what]) => `${count(times)} ${what}`).join(", ") || null }),
      fact("Failures", count(failed.reduce((sum, [, times]) => sum + times, 0)),
        { note: failed.map(([result, times]) => `${count(times)} ${result}`).join(", ") || null }),
      fact("Workers", `${one.active} of ${one.concurrency}`, { note: one.active ? `oldest ${seconds(one.longest)}` : null }),
      ...["high", "normal", "low"].map((priority) => fact(`Waiting, ${priority}`, count(one.depth[priority]))),
      fact("Delayed", count(one.delayed)),
      fact("First pass", pass ? count(pass.keys) : "not done",
        { note: pass?.failed ? `${count(pass.failed)} failed` : null, title: "All keys that existed at the start" }),
      fact("Own writes", count(one.ownWriteLoops + one.writeNotReceived), {
        tone: one.ownWriteLoops + one.writeNotReceived ? "warn" : null,
        note: one.waitedForWrite ? `${count(one.waitedForWrite)} waited` : null,
        title: `${one.ownWriteLoops} only because of the write before, ${one.writeNotReceived} before it was received`,
      }),
      one.mappingPanics ? fact("Mapping panics", count(one.mappingPanics), { tone: "bad" }) : null));
}

function failure(one) {
  return el("li", {}, el("time", {}, `${seconds(one.age)} ago`), el("span", {}, one.informer), el("span", {}, one.error));
}

function summary(informers, queues, controllers) {
  const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
  const tile = (label, value, note) =>
    el("li", {}, el("div", { class: "label" }, label), el("div", { class: "value" }, value, note && el("small", {}, note)));
  const stale = informers.filter((one) => one.stale >= STALE).length;
  return [
    tile("Synced", count(informers.filter((one) => one.synced).length), ` of ${informers.length}`),
    tile("Stale", count(stale)),
    tile("Objects", count(sum(informers, "objects"))),
    tile("Relists", count(informers.reduce((n, one) => n + Object.values(one.relists).reduce((a, b) => a + b, 0), 0))),
    tile("Errors", count(sum(informers, "errors"))),
    queues.length + controllers.length
      ? tile("Keys waiting", count(controllers.reduce((total, one) => total + waiting(one), sum(queues, "depth")))) : null,
  ].filter(Boolean);
}

function show(id, children) {
  const place = document.getElementById(id);
  place.replaceChildren(...children);
  if (place.parentElement.tagName === "SECTION") place.parentElement.hidden = children.length === 0;
}

function draw(state) {
  const informers = state.registries.flatMap((registry) => registry.informers);
  const several = state.registries.length > 1;
  document.getElementById("server").textContent = state.registries.map((registry) => registry.server).join(", ");
  show("summary", summary(informers, state.queues, state.controllers));
  show("informers", state.registries.flatMap((registry) => [
    several ? el("h2", {}, registry.server) : el("h2", {}, "Kinds"),
    el("div", { class: "cards" }, ...registry.informers.map(informer)),
  ]));
  show("queues", state.queues.map(queue));
  show("controllers", state.controllers.map(controller));
  show("errors", state.errors.map(failure));
}

function live(text, lost) {
  const status = document.getElementById("live");
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("lost", lost);
}

async function follow() {
  if (!document.hidden) {
    try {
      const response = await fetch("/state.json");
      if (!response.ok) throw new Error(response.statusText);
      draw(await response.json());
      live("live", false);
    } catch {
      live("not connected", true);
    }
  }
  setTimeout(follow, EVERY);
}

follow();
