import { describe, expect, it } from 'vitest';
import { expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { pages } from '../../simulation/world/sources.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;

/** A source of whole pages, the first of 450 changes: three slices. Every third gives rows of both tables. */
async function pagedWorld(): Promise<World> {
  const world = await startedWorld({ kind: pages });
  const keys = Array.from({ length: 450 }, (_, index) => (index % 3 === 0 ? `user-${index}+` : `user-${index}`));
  world.upstream.publish(keys);
  world.upstream.pages.push(keys);
  return world;
}

async function rowsOf(world: World): Promise<{ profiles: string[]; repos: string[] }> {
  const [profiles, repos] = world.engine.source.tables;
  return {
    profiles: (await lakeRows(world, profiles)).map(row => String(row.username)),
    repos: (await lakeRows(world, repos)).map(row => String(row.full_name)),
  };
}

/** Kills the instance when a matching call is made for the n-th time. */
function killAt(world: World, pattern: RegExp, nth: number): void {
  let calls = 0;
  const off = world.calls.before(call => {
    if (!pattern.test(call) || ++calls !== nth) return;
    off();
    world.kill();
    throw new Error('the instance is dead');
  });
}

describe('a page whose changes are no resume points', () => {
  it('gets its LSNs with its last slice', async () => {
    const world = await pagedWorld();
    let staged = 0;
    world.calls.before(call => {
      if (!call.startsWith('load.load') || world.lane.page_done === 0) return;
      staged += 1;
      expect(world.engine.journal.state.tables().map(table => table.last_lsn)).toEqual([0, 0, 0]);
      expect(world.lane.cursor).toBe('0');
      expect(world.balance.changes).toBe(0);
    });
    await followed(world);
    expect(staged).toBeGreaterThan(0);
    expect(world.balance).toMatchObject({ changes: 450, rows: 450 });
    await expectProof(world);
  });

  it('has its rows in feed order, in both tables', async () => {
    const world = await pagedWorld();
    const [page] = world.upstream.pages;
    await followed(world);
    const { profiles, repos } = await rowsOf(world);
    expect(profiles).toEqual(page);
    expect(repos).toEqual(page!.filter(key => key.endsWith('+')));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])('goes on as the same page after a kill at load %i', async nth => {
    const world = await pagedWorld();
    const [page] = world.upstream.pages;
    killAt(world, /^load\.load/, nth);
    const off = world.calls.after(call => {
      // Asked again, the upstream would show another page.
      if (/^load\.pull 0/.test(call)) world.upstream.pages[0] = ['user-0+', 'somebody else'];
    });
    await followed(world);
    off();
    expect((await rowsOf(world)).profiles).toEqual(page);
    expect(world.calls.count(/^load\.pull 0/)).toBe(1);
    await expectProof(world);
  });

  it('goes on as the same page after a failure in its middle', async () => {
    const world = await pagedWorld();
    const [page] = world.upstream.pages;
    let loads = 0;
    world.calls.before(call => {
      if (/^load\.load/.test(call) && ++loads === 5) throw new Error('the Loader died');
    });
    await followed(world);
    expect((await rowsOf(world)).profiles).toEqual(page);
    expect(world.calls.count(/^load\.pull 0/)).toBe(1);
    await expectProof(world);
  });

  it('parks what fails in it, and numbers that with its last slice too', async () => {
    const world = await pagedWorld();
    world.upstream.faults.set('user-3+', { status: 403 });
    world.upstream.faults.set('user-440', { status: 403 });
    await followed(world);
    expect(Object.fromEntries(world.parked.map(({ key, change_number }) => [key, change_number]))).toEqual({
      'user-3+': 4,
      'user-440': 441,
    });
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(world.balance).toMatchObject({ changes: 450, rows: 450, parked: 0 });
    await expectProof(world);
  });

  it.each([5, 205, 449])('parks what SQLite refuses of it (change %i), and lets the rest in', async index => {
    const world = await pagedWorld();
    const [page] = world.upstream.pages;
    page![index] = 'poison';
    world.upstream.publish('poison');
    world.storage.refuses = (statement, params) =>
      /INSERT INTO entries/.test(statement) && Buffer.from(params.at(-1) as Uint8Array).includes('"poison"');
    await runUntil(world, { until: () => world.isFollowed, withinMs: 3_600_000 });
    expect(world.parked).toMatchObject([{ key: 'poison', reason: 'row-too-large' }]);
    expect(world.balance).toMatchObject({ changes: 450, rows: 449, parked: 1 });
    await expectProof(world);
  });

  it('is followed by the next', async () => {
    const world = await pagedWorld();
    world.upstream.publish(['x', 'y+']);
    world.upstream.pages.push(['x', 'y+'], [], ['x']);
    await followed(world);
    expect((await rowsOf(world)).profiles.slice(450)).toEqual(['x', 'y+', 'x']);
    expect(world.lane.cursor).toBe('4');
    await expectProof(world);
  });
});

describe('the durable cursor of two tables', () => {
  it('waits for the files of both', async () => {
    const world = await pagedWorld();
    const repair = world.calls.fail(/^bucket\.put github\/repos\/partitions/);
    await runUntil(world, { until: () => world.fault('flush:github_repo') !== null });
    expect(world.files).toMatchObject([{ table_name: 'github_profile', rows: 450 }]);
    expect(world.lane.cursor).toBe('1');
    expect(world.engine.files.durableCursor()).toBe('0');
    await pass(world, MINUTE);
    expect(world.database.lastSequence('pages')).toBe('0');
    repair();
    await followed(world);
    expect(world.database.lastSequence('pages')).toBe('1');
    await expectProof(world);
  });

  it('moves when one of them has nothing to put in a file', async () => {
    const world = await startedWorld({ kind: pages });
    world.upstream.publish('user');
    world.upstream.pages.push(['user']);
    await followed(world);
    expect(world.database.lastSequence('pages')).toBe('1');
    await nextRun(world);
    await expectProof(world);
  });
});
