// Trains networks beside the page, one at a time; says how far it is after each evaluation.

import { train } from "./training.js";

const stopped = new Set();
const breath = new MessageChannel(); // a way to let messages in, without the delay of a timer
const wait = () => new Promise((resolve) => {
  breath.port1.onmessage = resolve;
  breath.port2.postMessage(null);
});

onmessage = async ({ data: { id, job, stop } }) => {
  if (stop !== undefined) {
    stopped.add(stop);
    return;
  }
  try {
    const training = train(job);
    let part = training.next();
    while (!part.done) {
      postMessage({ id, part: part.value });
      await wait();
      if (stopped.delete(id)) {
        postMessage({ id, end: "stopped" });
        return;
      }
      part = training.next();
    }
    postMessage({ id, end: "done", params: part.value });
  } catch (error) {
    postMessage({ id, end: "failed", error: String(error.message ?? error) });
  }
};
