// Keeps the page for when there is no network. With one, the newest files are used.

const FILES = [
  "./", "index.html", "play.css", "constants.js", "controls.js", "drawing.js", "generator.js", "kernel.js", "layers.js",
  "main.js", "network.js", "pool.js", "program.js", "pruning.js", "random.js", "run.js", "state.js", "statistics.js",
  "training.js", "view.js", "wasm.js", "worker.js",
];

self.addEventListener("install", (event) => event.waitUntil(caches.open("flylab").then((cache) => cache.addAll(FILES))));
self.addEventListener("fetch", (event) => {
  event.respondWith(fetch(event.request).catch(() => caches.match(event.request, { ignoreSearch: true })));
});
