"use strict";
// The page draws what the gateway's event stream says once a second. Names are set as text and never as markup.

const KEPT = 120; // seconds of rates
const RECEIPTS = 12;
const byId = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const whole = new Intl.NumberFormat("en");
const times = [], writes = [], reads = [], misses = [];
let last = null, plots = null, events = null;

function bytes(count) {
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (count >= size) return (count / size).toFixed(1) + " " + unit;
  }
  return count + " B";
}

function left(ms) {
  if (ms < 0) return "gone";
  const s = Math.floor(ms / 1000);
  if (s < 60) return (ms / 1000).toFixed(1) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + (s % 60) + " s";
  return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function numbers(list, rows) {
  list.replaceChildren(...rows.map(([term, value]) => {
    const pair = element("div");
    pair.append(element("dt", term), element("dd", value));
    return pair;
  }));
}

function axes() {
  const ink = colour("--faint"), line = colour("--line");
  const one = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  return [{ ...one }, { ...one, size: 60 }];
}

function draw() {
  if (plots) Object.values(plots).forEach((plot) => plot.destroy());
  const size = (id) => ({ width: Math.max(byId(id).clientWidth, 200), height: 180 });
  const bars = uPlot.paths.bars({ size: [0.9, 60] });
  plots = {
    minute: new uPlot({
      ...size("minute"), legend: { show: false }, cursor: { show: false }, axes: axes(),
      scales: { x: { time: false, range: [-0.5, 59.5] },
        y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.1] } },
      series: [{ label: "seconds left" },
        { label: "keys", fill: colour("--due"), stroke: colour("--due"), paths: bars, points: { show: false } }],
    }, [[...Array(60).keys()], Array(60).fill(0)], byId("minute")),
    rates: new uPlot({
      ...size("rates"), height: 200, cursor: { show: false }, legend: { live: false }, axes: axes(),
      // Without a range of its own a single second is drawn amid years.
      scales: { x: { range: (_, low, high) => [(high ?? Date.now() / 1000) - KEPT, high ?? Date.now() / 1000] },
        y: { range: (_, low, high) => [0, Math.max(high ?? 1, 1) * 1.1] } },
      series: [{}, ["writes", "--write", []], ["reads", "--read", [8, 4]], ["misses", "--miss", [2, 3]]].map((one) =>
        Array.isArray(one) ? { label: one[0], stroke: colour(one[1]), width: 2, dash: one[2],
          points: { show: false } } : one),
    }, [times, writes, reads, misses], byId("rates")),
  };
}

function minute(found) {
  plots.minute.setData([[...Array(60).keys()], found.seconds]);
  const sum = found.seconds.reduce((a, b) => a + b, 0);
  const about = found.looked < found.keys ? "about " : "";
  byId("minute-summary").textContent =
    `In the next minute ${about}${whole.format(sum)} of ${whole.format(found.keys)} keys are forgotten, ` +
    `${about}${whole.format(found.seconds.slice(0, 10).reduce((a, b) => a + b, 0))} of them within ten seconds.` +
    (about ? ` Estimated from ${whole.format(found.looked)} keys.` : "");
}

function rates(now) {
  if (last && now.at_ms > last.at_ms) {
    const s = (now.at_ms - last.at_ms) / 1000;
    const per = (name) => Math.max(now[name] - last[name], 0) / s;
    for (const [list, value] of [[times, now.at_ms / 1000], [writes, per("writes")], [reads, per("hits")],
      [misses, per("misses")]]) {
      list.push(value);
      if (list.length > KEPT) list.shift();
    }
    plots.rates.setData([times, writes, reads, misses]);
    const of = (name) => whole.format(Math.round(per(name)));
    byId("rates-summary").textContent = `${of("writes")} writes, ${of("hits")} reads that found a key, ` +
      `${whole.format(Math.round(per("misses")))} that did not.`;
    receipt(now, now.forgotten_values - last.forgotten_values, now.forgotten_bytes - last.forgotten_bytes);
  }
  last = now;
}

function receipt(now, values, wiped) {
  if (values <= 0) return;
  const row = element("tr");
  row.append(element("td", new Date(now.at_ms).toLocaleTimeString()), element("td", whole.format(values)),
    element("td", bytes(wiped)));
  const table = byId("receipts");
  if (table.firstElementChild && table.firstElementChild.children.length === 1) table.replaceChildren();
  table.prepend(row);
  while (table.children.length > RECEIPTS) table.lastElementChild.remove();
}

function enclave(nodes) {
  const items = new Map();
  for (const node of nodes) {
    const item = element("li");
    item.append(element("strong", node.address || node.id));
    const facts = [node.own ? "asked" : "", node.role, node.enclave, node.state,
      node.lag_ms > 0 ? `${node.lag_ms} ms behind` : ""];
    const bad = ["joining", "suspect", "dead", "lagging", "differs", "unlinked", "isolated"].includes(node.state)
      || node.lag_ms > 1000;
    item.append(element("span", " " + facts.filter(Boolean).join(", "), bad ? "bad" : ""));
    items.set(node.id, [item, node.parent]);
  }
  const top = byId("enclave");
  top.replaceChildren();
  for (const [item, parent] of items.values()) {
    const above = items.get(parent);
    if (!above || above[0] === item || item.contains(above[0])) { top.append(item); continue; }
    let list = above[0].querySelector(":scope > ul");
    if (!list) above[0].append(list = element("ul"));
    list.append(item);
  }
  if (!nodes.length) top.append(element("li", "alone"));
}

function show(now) {
  const state = byId("state");
  if (state.dataset.state !== now.state) { state.dataset.state = now.state; state.textContent = now.state; }
  numbers(byId("numbers"), [
    ["keys", whole.format(now.keys)], ["memory", bytes(now.used_memory)], ["clients", whole.format(now.clients)],
    ["forgotten", whole.format(now.forgotten_values)], ["wiped", bytes(now.forgotten_bytes)],
    ["stubs", whole.format(now.stubs)],
  ]);
  numbers(byId("refusals"), [
    ["deletes", whole.format(now.refused_deletes)], ["other commands", whole.format(now.refused_others)],
    ["wrong passwords", whole.format(now.denied_auth)],
    ["rights", whole.format(now.denied_rights)],
  ]);
  byId("late").textContent = now.late_by_ms
    ? `The last value that was late was ${now.late_by_ms} ms late, at ${new Date(now.late_at_ms).toLocaleTimeString()}.`
    : "No value was more than 0.1 s late.";
  if (now.reduced)
    byId("minute-note").textContent = "This user may not ask for the node's numbers (INFO): some of them are missing.";
  rates(now);
  minute(now.minute);
  enclave(now.nodes);
}

function listen() {
  events = new EventSource("v1/live");
  events.addEventListener("overview", (event) => show(JSON.parse(event.data)));
  events.onerror = () => {
    const state = byId("state");
    state.dataset.state = "gone";
    state.textContent = "no answer; trying again";
  };
}

async function list(prefix) {
  const note = byId("keys-note");
  try {
    const answer = await fetch("v1/live/keys?prefix=" + encodeURIComponent(prefix));
    const found = await answer.json();
    if (!answer.ok) { note.textContent = found.detail; return; }
    byId("keys").replaceChildren(...found.keys.map(row));
    note.textContent = found.keys.length ? `${found.keys.length} keys${found.more ? ", and more" : ""}` : "no such key";
  } catch (error) {
    note.textContent = "The gateway does not answer.";
  }
}

function row(found) {
  const line = element("tr");
  const button = element("button", "show");
  button.setAttribute("aria-label", "show the value of " + found.name);
  const cell = element("td", undefined, "value");
  cell.append(button);
  button.addEventListener("click", async () => {
    const answer = await fetch("v1/data/" + found.path);
    cell.textContent = answer.ok ? (await answer.text()).slice(0, 4096) : "forgotten";
  });
  const remaining = element("td", left(found.ttl_ms));
  remaining.dataset.until = performance.now() + found.ttl_ms;
  line.append(element("td", found.name, "key"), remaining, element("td", whole.format(found.bytes)), cell);
  return line;
}

setInterval(() => {
  for (const cell of document.querySelectorAll("[data-until]"))
    cell.textContent = left(cell.dataset.until - performance.now());
}, 500);
byId("ask").addEventListener("submit", (event) => { event.preventDefault(); list(byId("prefix").value); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let resizing = 0;
addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(draw, 150); });
draw();
listen();
