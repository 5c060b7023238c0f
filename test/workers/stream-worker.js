import { WorkerEntrypoint } from 'cloudflare:workers';

const taken = [];
let refusal = null;

/** Stands in for a stream: keeps the records it is sent, or throws what it was told to. */
export class Stream extends WorkerEntrypoint {
  async send(records) {
    if (refusal !== null) throw Object.assign(new Error('it was told to'), refusal);
    taken.push(...records);
  }

  /** With null it takes records again. */
  refuse(properties) {
    refusal = properties;
  }

  records() {
    return taken;
  }
}

// A worker is to have one, and nothing asks it.
export default {};
