import { WorkerEntrypoint } from 'cloudflare:workers';

const accepted = [];
let refusal = null;

/** Stand-in of a stream: stores the records, or throws the error that `refuse` has set. */
export class Stream extends WorkerEntrypoint {
  async send(records) {
    if (refusal !== null) throw Object.assign(new Error('refused'), refusal);
    accepted.push(...records);
  }

  /** Properties of the error; with null the stream accepts records again. */
  refuse(properties) {
    refusal = properties;
  }

  records() {
    return accepted;
  }
}

// A worker needs a default export; nothing calls it.
export default {};
