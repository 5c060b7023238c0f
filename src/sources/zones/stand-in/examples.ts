import type { Examples } from '../../stand-in/examples.ts';
import { startStandIn } from './stand-in.ts';

export const examples: Examples = {
  // One domain, because a visit takes 13 of the probe's 20 requests.
  keys: ['cloudflare.com'],
  async start() {
    return { standIn: await startStandIn({ fast: true }), keys: ['signed-example.com', 'copper-example.com'] };
  },
};
