// The page: settings on one side, data and results on the other.

import { controls, element } from "./controls.js";
import { Pool } from "./pool.js";
import { asPython } from "./program.js";
import { Run } from "./run.js";
import { fromHash, isUsual, toHash } from "./state.js";
import { showAge, showData, showMasks, showRun } from "./view.js";

const find = (name) => document.getElementById(name);
let state = fromHash(location.hash);
let [run, pool, digit, number] = [null, null, 3, 0];
let kept = history.state; // of the run: this page in this tab has it when it is loaded again, and no other page

/** Call a function in the next frame, or at most every `pause` milliseconds, however often it is asked for. */
function inFrame(what, pause = 0) {
  let [asked, last] = [false, -Infinity];
  const now = () => requestAnimationFrame(() => {
    [asked, last] = [false, performance.now()];
    what();
  });
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(now, Math.max(0, last + pause - performance.now()));
  };
}

const drawData = inFrame(() => {
  digits();
  showData(state, digit, number);
});
const drawRun = inFrame(() => {
  if (!run) return;
  showRun(run);
  showAge(run, state);
  say();
}, 250); // drawing takes time from training
const drawMasks = inFrame(() => run?.isPrunable && showMasks(run, state.pruned));

/** Show the numbers of the kept classes, to choose whose construction is shown. */
function digits() {
  if (!state.classes.includes(String(digit))) digit = Number(state.classes[0]);
  find("digits").replaceChildren(...state.classes.map((name) => {
    const button = element("button", { type: "button", "aria-pressed": String(Number(name) === digit), "aria-label": `show a ${name}` }, name);
    button.addEventListener("click", () => {
      digit = Number(name);
      showData(state, digit, number);
      for (const other of find("digits").children) other.setAttribute("aria-pressed", String(other === button));
    });
    return button;
  }));
}

const show = controls(document, (name, value) => {
  const next = { ...state, [name]: value };
  if (name === "padding_low") next.padding_high = Math.max(next.padding_high, value);
  if (name === "padding_high") next.padding_low = Math.min(next.padding_low, value);
  choose(next);
});

let writing = 0;
const address = () => `${location.href.split("#")[0]}${toHash(state) && `#${toHash(state)}`}`;
const writeAddress = () => history.replaceState(kept, "", address());

/** Take a state: show it everywhere and write it into the address. */
function choose(next) {
  state = next;
  clearTimeout(writing);
  writing = setTimeout(writeAddress, 150); // browsers refuse to write it at each move of a slider
  show(state);
  drawData();
  drawMasks();
  if (run) showAge(run, state);
  showProgram();
}

/** The program is that of the trained run, if there is one. */
function showProgram() {
  find("program").textContent = run ? asPython(run.state, run.pruned) : asPython(state);
  find("whose").textContent = run ? "the networks trained above" : "the settings as they are";
}

let announced = -1;
/** Say how far the training is; to screen readers, at each quarter. */
function say() {
  const { share, n, nDone } = run.progress;
  const percent = Math.round(100 * share);
  const words = {
    training: `${percent} %, ${nDone} of ${n} networks`,
    done: `Done: ${n} networks in ${run.seconds.toFixed(1)} s`,
    stopped: `Stopped at ${percent} %`,
    failed: `Failed: ${run.error}`,
    kept: `${nDone} networks from before`,
  }[run.phase];
  find("bar").value = share;
  find("progress").textContent = words;
  const isTraining = run.phase === "training";
  if (!isTraining || Math.floor(percent / 25) !== announced) find("status").textContent = words;
  announced = isTraining ? Math.floor(percent / 25) : -1;
  find("train").disabled = isTraining;
  find("stop").disabled = !isTraining;
  find("prune").disabled = !run.isPrunable;
  find("pruning").hidden = !run.isTrained && run.pruned === null;
}

const workers = () => (pool ??= new Pool(Math.min(navigator.hardwareConcurrency || 2, 8)));

function showResults() {
  find("waiting").hidden = true;
  find("results").hidden = false;
  showRun(run);
  say();
}

/** Train, or prune and train again. */
async function go(training) {
  showProgram();
  const over = training();
  showResults();
  await over;
  kept = run.kept;
  writeAddress();
  drawRun();
  drawMasks();
  showProgram();
}

find("settings").addEventListener("submit", (event) => {
  event.preventDefault();
  if (run?.phase === "training") return;
  run = new Run({ ...state }, workers(), drawRun);
  go(() => run.train());
  if (innerWidth <= 800) find("learnt").scrollIntoView();
});
find("stop").addEventListener("click", () => pool?.stop());
find("prune").addEventListener("click", () => go(() => run.prune(state.pruned)));
find("another").addEventListener("click", () => {
  number += 1;
  drawData();
});
find("again").addEventListener("click", () => choose({ ...run.state, pruned: state.pruned }));
find("usual").addEventListener("click", () => choose(fromHash("")));
for (const [button, text] of [["copy", () => find("program").textContent], ["share", address]]) {
  find(button).addEventListener("click", async () => {
    const before = find(button).textContent;
    try {
      await navigator.clipboard.writeText(text());
      find(button).textContent = "Copied";
    } catch {
      find(button).textContent = "Not allowed: copy by hand";
    }
    setTimeout(() => (find(button).textContent = before), 1500);
  });
}
/** Take the state of the address, and show all that is unusual in it. */
function arrive() {
  choose(fromHash(location.hash));
  for (const details of find("settings").querySelectorAll("details")) {
    const names = details.querySelector("[data-fields]").dataset.fields.split(" ");
    if (names.some((name) => !isUsual(name, state[name]))) details.open = true;
  }
}
addEventListener("hashchange", arrive);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return; // a phone's address bar comes and goes
  width = innerWidth;
  drawData();
  drawRun();
});

if (kept) {
  run = Run.again(kept, drawRun);
  showResults();
  find("masks").textContent = "A page that is loaded again has no weights: train again to prune.";
}
arrive();
document.documentElement.dataset.ready = "yes";
requestAnimationFrame(() => setTimeout(() => {
  workers(); // they fetch their programs now
  navigator.serviceWorker?.register("sw.js").catch(() => {}); // without it the page works as long as it is open
}, 50));
