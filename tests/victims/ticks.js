// Timers, promises, a worker thread and a hash over all of it.
const crypto = require('crypto');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) {
  parentPort.on('message', (n) => {
    parentPort.postMessage(crypto.createHash('sha256').update('w' + n).digest('hex'));
  });
} else {
  const h = crypto.createHash('sha256');
  const worker = new Worker(__filename);
  const ticks = 220;
  let n = 0;
  let answers = 0;
  worker.on('message', (d) => {
    h.update(d);
    if (++answers === ticks) {
      worker.terminate().then(() => console.log(n, answers, h.digest('hex')));
    } else {
      setTimeout(tick, 5);
    }
  });
  const tick = () => {
    let d = crypto.createHash('sha256');
    for (let i = 0; i < 12000; i++) d.update(String(n * i));
    h.update(d.digest('hex'));
    if (++n % 10 === 0) console.log(n);
    worker.postMessage(n);
  };
  tick();
}
