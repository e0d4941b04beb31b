// The page of a coordinator: asks for status.json every two seconds and shows it. Whatever comes
// from members (names, organisations) is text, never markup.
"use strict";

const POLL_MS = 2000;
const TIMEOUT_MS = 10000;
const LATEST_ROUNDS = 15;
const STATES = {
  waiting: ["Waiting", "warn"], running: ["Running", "good"], paused: ["Paused", "warn"],
  evaluating: ["Measuring", "good"], finished: ["Finished", "good"], failed: ["Stopped", "bad"],
};
const FIGURES = {
  loss: "Loss", accuracy: "Accuracy", f1: "F1", auc: "AUC", mae: "Mean absolute error",
  perplexity: "Perplexity",
};

const element = (id) => document.getElementById(id);

// What is as it was is left alone, so that screen readers hear what has changed only.
function setText(id, text) {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}
function show(id, visible) { element(id).hidden = !visible; }

function plural(count, word) { return count.toLocaleString("en") + " " + word + (count === 1 ? "" : "s"); }
function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return (unit === 0 ? String(count) : count.toFixed(1)) + " " + units[unit];
}
function duration(seconds) {
  if (seconds === null || seconds === undefined || seconds < 0) return "–";
  if (seconds < 10) return seconds.toFixed(1) + " s";
  if (seconds < 60) return Math.round(seconds) + " s";
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes + " min " + Math.floor(seconds % 60) + " s";
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return hours + " h " + (minutes % 60) + " min";
  return Math.floor(hours / 24) + " d " + (hours % 24) + " h";
}
function figure(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 1000 ? value.toPrecision(5) : value.toFixed(4);
}
// Rounded up: a promise is not made better than it is.
function epsilon(value) {
  if (value === null || value === undefined) return "∞";
  return (Math.ceil(value * 1e4) / 1e4).toFixed(4);
}
function power(value) { return value !== 0 && value < 1e-3 ? value.toExponential() : String(value); }
function when(unix) { return new Date(unix * 1000).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short"}); }
function newest(points) { return points.length ? points[points.length - 1][1] : null; }
function titleOf(name) { return FIGURES[name] || name; }

function showNow(status) {
  const [word, kind] = STATES[status.state] || [status.state, ""];
  document.title = word + ", round " + status.round + "/" + status.rounds + " – " + status.federation.name;
  setText("name", status.federation.name);
  setText("purpose", status.federation.purpose + " · licence of the model: " + status.federation.license);
  setText("state", word);
  element("state").className = "badge " + kind;
  setText("sentence", status.sentence);
  element("progress").max = Math.max(1, status.rounds);
  element("progress").value = status.round;
  setText("progress-text", (status.round === 0 ? "No round of " + status.rounds + " is released yet" : "Round " + status.round + " of " + status.rounds + " is released") +
      (status.state === "running" || status.state === "waiting" ? "; this phase has lasted " + duration(status.phase_seconds) : ""));
}

function showCards(status) {
  setText("members-figure", status.members_connected + " of " + status.cohort);
  setText("members-text", "here, at least " + status.minimum + " are needed; " + plural(status.evaluators_connected, "evaluator"));
  const privacy = status.privacy;
  if (privacy.unit === "none") {
    setText("privacy-figure", "none");
    setText("privacy-text", privacy.secure_aggregation ? "beyond that only sums are seen" : "and the coordinator sees every update");
    show("privacy-progress", false);
  } else {
    setText("privacy-figure", "ε " + epsilon(privacy.epsilon));
    setText("privacy-text", "of at most " + privacy.max_epsilon + " for each " + (privacy.unit === "client" ? "member" : "record") + ", δ " + power(privacy.delta));
    show("privacy-progress", true);
    element("privacy-progress").max = privacy.max_epsilon;
    element("privacy-progress").value = privacy.epsilon === null ? privacy.max_epsilon : Math.min(privacy.epsilon, privacy.max_epsilon);
  }
  const second = secondFigure(status);
  const loss = status.curves.loss || [];
  if (second) {
    setText("quality-figure", titleOf(second) + " " + figure(newest(status.curves[second])));
    setText("quality-text", "loss " + figure(newest(loss)) + (status.best ? "; best " + figure(status.best.loss) + " in round " + status.best.round : ""));
  } else {
    setText("quality-figure", loss.length ? "Loss " + figure(newest(loss)) : "–");
    setText("quality-text", loss.length ? "of round " + loss[loss.length - 1][0] : "not measured yet");
  }
  setText("time-figure", status.eta_seconds === null ? "–" : duration(status.eta_seconds) + " left");
  setText("time-text", duration(status.seconds) + " in rounds so far, " + duration(status.seconds_a_round) + " a round lately");
  setText("traffic-figure", bytes(status.bytes_received + status.bytes_sent));
  setText("traffic-text", bytes(status.bytes_received) + " received, " + bytes(status.bytes_sent) + " sent");
  setText("attempts-figure", status.attempts + " of " + status.max_attempts);
  setText("attempts-text", status.failed_attempts === 0 ? "none has failed" : status.failed_attempts + " failed and " + (status.failed_attempts === 1 ? "was" : "were") + " tried again");
}

// The figure beside the loss that says most.
function secondFigure(status) {
  for (const name of ["accuracy", "auc", "f1", "mae", "perplexity"]) {
    if (status.curves[name]) return name;
  }
  return Object.keys(status.curves).find((name) => name !== "loss");
}

function cell(row, tag, text, label, wide) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (tag === "th") made.scope = "row";
  if (label) made.dataset.label = label;
  if (wide) made.className = "wide";
  if (text === "") made.classList.add("nothing");
  row.append(made);
}
// Rows are made anew only when what is in them has changed.
function fill(id, rows, make) {
  const body = element(id).tBodies[0];
  const key = JSON.stringify(rows);
  if (body.shown === key) return;
  body.shown = key;
  body.replaceChildren(...rows.map((item) => {
    const row = document.createElement("tr");
    make(row, item);
    return row;
  }));
}

function showPeople(status) {
  fill("people", status.members, (row, member) => {
    cell(row, "th", member.name);
    cell(row, "td", member.organisation, "", true);
    cell(row, "td", member.role);
    cell(row, "td", member.state + (member.doing ? ": " + member.doing : ""), "", true);
    cell(row, "td", when(member.last_seen_unix), "connected", true);
  });
  show("people", status.members.length > 0);
  show("people-none", status.members.length === 0);
  show("people-more", status.members_total > status.members.length);
  setText("people-more", "The first " + status.members.length + " of " + status.members_total + " are shown; dure members lists all.");
}

function showRounds(status) {
  const second = secondFigure(status);
  setText("figure-title", second ? titleOf(second) : "Accuracy");
  const of = (name) => new Map(status.curves[name] || []);
  const loss = of("loss"), other = of(second);
  const latest = status.history.slice(-LATEST_ROUNDS).reverse().map((round) => ({
    ...round, loss: loss.get(round.round), other: other.get(round.round), protects: status.privacy.unit !== "none",
    name: second ? titleOf(second).toLowerCase() : "",
  }));
  fill("rounds", latest, (row, round) => {
    cell(row, "th", "Round " + round.round);
    cell(row, "td", String(round.attempt), "attempt");
    cell(row, "td", round.survivors + " of " + round.cohort, "survivors");
    cell(row, "td", round.loss === undefined ? "" : figure(round.loss), "loss");
    cell(row, "td", round.other === undefined ? "" : figure(round.other), round.name);
    cell(row, "td", round.protects ? epsilon(round.epsilon) : "–", "ε");
    cell(row, "td", duration(round.duration_seconds), "time");
  });
  show("rounds", latest.length > 0);
  show("rounds-none", latest.length === 0);
}

const charts = new Map();

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function makeChart(title) {
  const box = document.createElement("figure");
  box.className = "chart";
  const caption = document.createElement("figcaption");
  caption.textContent = title;
  const plot = document.createElement("div");
  plot.className = "plot";
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  plot.append(canvas);
  box.append(caption, plot);
  element("charts").append(box);
  const axis = (text) => ({
    title: {display: true, text, color: colour("--quiet")}, grid: {color: colour("--line")},
    ticks: {color: colour("--quiet"), maxTicksLimit: 6},
  });
  const chart = new Chart(canvas, {
    type: "line",
    data: {datasets: [{label: title, data: [], borderColor: colour("--accent"), backgroundColor: colour("--accent"), borderWidth: 2, pointRadius: 2, tension: 0}]},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false,
      interaction: {mode: "nearest", axis: "x", intersect: false},
      scales: {x: {type: "linear", ...axis("round"), ticks: {color: colour("--quiet"), precision: 0, maxTicksLimit: 8}}, y: {...axis(""), title: {display: false}}},
      plugins: {legend: {display: false}},
    },
  });
  return {chart, canvas, box, shown: ""};
}

function draw(name, title, points, fromZero) {
  const drawn = points.filter((point) => point[1] !== null);
  if (drawn.length === 0) return;
  if (!charts.has(name)) charts.set(name, makeChart(title));
  const entry = charts.get(name);
  const key = JSON.stringify(drawn);
  if (entry.shown === key) return;
  entry.shown = key;
  const last = drawn[drawn.length - 1];
  entry.canvas.setAttribute("aria-label", title + " by round, from " + figure(drawn[0][1]) + " in round " + drawn[0][0] + " to " + figure(last[1]) + " in round " + last[0]);
  const set = entry.chart.data.datasets[0];
  set.data = drawn.map(([x, y]) => ({x, y}));
  set.pointRadius = drawn.length > 60 ? 0 : 2;
  entry.chart.options.scales.y.beginAtZero = fromZero;
  entry.chart.update();
}

let shownStatus = null;

function showCurves(status) {
  const able = typeof Chart !== "undefined";
  show("no-charts", !able);
  show("no-curves", able && status.history.length === 0);
  if (!able) return;
  const names = Object.keys(status.curves).sort((a, b) => (a === "loss" ? -1 : b === "loss" ? 1 : a < b ? -1 : 1));
  for (const name of names) draw(name, titleOf(name), status.curves[name], false);
  if (status.privacy.unit !== "none") draw(" epsilon", "Privacy spent (ε)", status.history.map((round) => [round.round, round.epsilon]), true);
  draw(" seconds", "Seconds a round", status.history.map((round) => [round.round, round.duration_seconds]), true);
}

// Charts take their colours when they are made.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const entry of charts.values()) { entry.chart.destroy(); entry.box.remove(); }
  charts.clear();
  if (shownStatus) showCurves(shownStatus);
});

function showStatus(status) {
  shownStatus = status;
  show("lost", false);
  showNow(status);
  showCards(status);
  showCurves(status);
  showPeople(status);
  showRounds(status);
  setText("updated", "as of " + new Date(status.now_unix * 1000).toLocaleTimeString("en-GB") + ", dure " + status.dure);
}

function showLoss() {
  show("lost", true);
  setText("lost", "The coordinator does not answer" +
      (shownStatus ? "; this is how it was at " + new Date(shownStatus.now_unix * 1000).toLocaleTimeString("en-GB") : "") +
      ". Asking again every two seconds.");
}

let timer = 0;
async function poll() {
  clearTimeout(timer);
  const abort = new AbortController();
  const late = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const reply = await fetch("status.json", {cache: "no-store", signal: abort.signal});
    if (!reply.ok) throw new Error(reply.statusText);
    showStatus(await reply.json());
  } catch (error) {
    showLoss();
  } finally {
    clearTimeout(late);
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(poll, POLL_MS);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
poll();
