import { githubProfile } from '../../../schemas/github_profile.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import type { Row } from '../../../schemas/table.ts';
import type { Change, Document, Loaded, LoadedRow } from '../../../src/ports/change.ts';
import { agenda, nextVisit, rowOf, type SourceKind } from './sources.ts';

export const PROBE_HOST = 'probe.test';
/** Keys that one request of the probe asks for. */
export const PROBE_KEYS = 4;

/** The facts that each visit leaves. `part`: the last part of the key's work that is done. */
interface Facts extends Record<string, unknown> {
  revision: number;
  part: number;
}

/**
 * As `agenda`, with a probe, two tables, and answers whose text says more: `moved <key>` the key's new name, `finds <key>
 * <key> …` keys that it names, `parts <number>` work for so many visits, `filed` a
 * document in a folder of its own. A number after `#` is the count of followers, which alone is no change; a word after
 * `@` says which thing the key names, in place of its name.
 */
export const probing: SourceKind = (upstream, call) => {
  const { feed: _, agenda: plain, ...rest } = agenda(upstream, call);
  return {
    ...rest,
    id: 'probing',
    tables: [githubProfile, githubRepo],
    folders: ['space='],
    pace: settings => {
      const pace = rest.pace(settings);
      return { ...pace, hosts: { ...pace.hosts, [PROBE_HOST]: { requestsPerSecond: 1, burst: 5 } } };
    },

    requests(step, changes, settings) {
      if (step === 'probe') return { [PROBE_HOST]: Math.ceil(changes.length / PROBE_KEYS) };
      return rest.requests(step, changes, settings);
    },

    agenda: {
      ...plain!,
      next: nextVisit,
      uncounted: { [githubProfile.name]: ['followers'] },
      probe: {
        keysMax: PROBE_KEYS,
        async ask(changes) {
          const revisions = await upstream.probe(
            PROBE_HOST,
            changes.map(({ key }) => key),
            call,
          );
          return changes.map(({ facts }, index) => {
            const isSame = revisions[index] === (facts as Facts).revision;
            return isSame ? { kind: 'unchanged' } : { kind: 'changed', answer: { revision: revisions[index] } };
          });
        },
      },
    },

    async load(change) {
      const answer = await upstream.answer(change.server!, change.key, call);
      return answer ? loadedOf(change, answer) : goneOf(change.key);
    },
  };
};

function loadedOf(change: Change, { revision, text }: { revision: number; text: string }): Loaded {
  const { key } = change;
  const facts = change.facts as Facts | null;
  const [word = '', ...words] = text.split('#')[0]!.trim().split(' ');
  const part = facts?.revision === revision ? facts.part + 1 : 1;
  const parts = word === 'parts' ? Number(words[0]) : 1;
  const movedTo = word === 'moved' ? words[0] : undefined;
  const name = movedTo ?? key;
  const [, thing] = /@(\w+)/.exec(text) ?? [];
  const own: Row = thing === undefined ? {} : { github_id: thing };
  const profile = { username: name, bio: text.split('#')[0]!, followers: Number(text.split('#')[1] ?? 0), ...own };
  const rows: LoadedRow[] = [{ table: githubProfile.name, op: 'upsert', row: rowOf(githubProfile, profile) }];
  if (movedTo) {
    const row = rowOf(githubProfile, { username: key, ...own });
    rows.unshift({ table: githubProfile.name, op: 'delete', row });
  }
  if (parts > 1)
    rows.push({ table: githubRepo.name, op: 'upsert', row: rowOf(githubRepo, { full_name: `${key}/${part}` }) });
  const bytes = Buffer.from(JSON.stringify({ text }));
  const documents: Document[] = [{ name, bytes, revision: null }];
  if (parts > 1)
    documents.push({
      name,
      bytes,
      revision: null,
      path: ['raw', 'parts', name],
      file: `${part}.json`,
      immutable: true,
    });
  if (word === 'filed')
    documents.push({ name, bytes, revision: null, path: [`space=${name.split('.')[1]}`], file: `${name}.txt` });
  return {
    documents,
    rows,
    revision: null,
    seen: {
      found: true,
      facts: { revision, part },
      unfinished: part < parts,
      keys: word === 'finds' ? words : [],
      ...(movedTo && { movedTo }),
    },
  };
}

function goneOf(key: string): Loaded {
  const row = { table: githubProfile.name, op: 'delete' as const, row: rowOf(githubProfile, { username: key }) };
  return { documents: [], rows: [row], revision: null, seen: { found: false, facts: { revision: 0, part: 0 } } };
}
