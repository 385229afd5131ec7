// Workers that train networks side by side.

export class Pool {
  /** Start `n` workers; they fetch their program now, so that later nothing is fetched. */
  constructor(n) {
    this.idle = [];
    this.busy = new Map(); // worker → the task it does
    this.waiting = [];
    this.nTasks = 0;
    for (let i = 0; i < n; i++) {
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      worker.onmessage = ({ data }) => this.#hear(worker, data);
      worker.onerror = (event) => this.#hear(worker, { end: "failed", error: event.message || "a worker failed" });
      this.idle.push(worker);
    }
  }

  /** Train one job; `onPart` gets each evaluation. Resolves to `{end, params}`, `end` being "done" or "stopped". */
  train(job, onPart) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ id: this.nTasks++, job, onPart, resolve, reject });
      this.#give();
    });
  }

  /** Stop all trainings at their next evaluation. */
  stop() {
    for (const { resolve } of this.waiting.splice(0)) resolve({ end: "stopped" });
    for (const [worker, { id }] of this.busy) worker.postMessage({ stop: id });
  }

  #give() {
    while (this.idle.length && this.waiting.length) {
      const [worker, task] = [this.idle.pop(), this.waiting.shift()];
      this.busy.set(worker, task);
      worker.postMessage({ id: task.id, job: task.job });
    }
  }

  #hear(worker, { id, part, end, params, error }) {
    const task = this.busy.get(worker);
    if (!task || (id !== undefined && id !== task.id)) return;
    if (part) {
      task.onPart(part);
      return;
    }
    this.busy.delete(worker);
    this.idle.push(worker);
    if (end === "failed") task.reject(new Error(error));
    else task.resolve({ end, params });
    this.#give();
  }
}
