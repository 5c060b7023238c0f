import { parkedOf } from '../oracle/agenda-state.ts';
import type { VisitOracle } from '../oracle/visit-oracle.ts';
import { pick, type Random } from '../world/faults.ts';
import { unwatch, watch } from '../world/visits.ts';
import type { World } from '../world/world.ts';
import type { ClientAction } from './clients.ts';

/** Two spaces share a host. */
export const SERVERS = { red: 'one.test', blue: 'one.test', green: 'two.test', gray: 'three.test' } as const;
export const SECOND_HOST = 'both.test';
export const HOSTS = [...new Set(Object.values(SERVERS)), SECOND_HOST];

export const AGENDA_KEYS = Object.keys(SERVERS).flatMap(space => ['a', 'b', 'c'].map(name => `${name}.${space}`));

/** Adds keys to an agenda and removes them, mostly keys that are being visited or have failed. */
export class AgendaClient {
  readonly #world: World;
  readonly #oracle: VisitOracle;

  constructor(world: World, oracle: VisitOracle) {
    this.#world = world;
    this.#oracle = oracle;
  }

  draw(random: Random): ClientAction {
    const chance = random();
    const keys = Array.from({ length: 1 + Math.floor(random() * 3) }, () => this.#key(random));
    if (chance < 0.3) return { kind: 'keys added', run: () => this.watch(keys) };
    if (chance < 0.6) return { kind: 'keys removed', run: () => this.unwatch(keys) };
    if (chance < 0.8) {
      const run = () => Promise.allSettled([this.unwatch(keys), this.watch(keys)]);
      return { kind: 'keys removed and added again', run };
    }
    const most = AGENDA_KEYS.filter(() => random() < 0.7);
    return { kind: 'most keys added', run: () => this.watch(most) };
  }

  watch(keys: string[]): Promise<unknown> {
    return watch(this.#world, [...new Set(keys)], change => {
      this.#oracle.adding = new Set(keys);
      const answer = change();
      this.#oracle.adding = new Set();
      return answer;
    });
  }

  unwatch(keys: string[]): Promise<unknown> {
    return unwatch(this.#world, [...new Set(keys)], change => {
      this.#oracle.removing = new Set(keys);
      const answer = change();
      this.#oracle.removing = new Set();
      return answer;
    });
  }

  #key(random: Random): string {
    const { loading, state } = this.#oracle;
    const failed = [...state.keys.keys()].filter(key => parkedOf(state, key).length > 0);
    const [busy, any] = [[...loading, ...failed], pick(random, AGENDA_KEYS)];
    return random() < 0.7 && busy.length > 0 ? pick(random, busy) : any;
  }
}
