import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Its answer holds its settings and the marks of its database; the scheduled call leaves one. */
const WORKER = `
export default {
  async fetch(request, env) {
    const settings = Object.fromEntries(Object.entries(env).filter(([, value]) => typeof value === 'string'));
    const { results } = await env.DB.prepare('SELECT name FROM marks').all();
    return Response.json({ settings, marks: results.map(({ name }) => name) });
  },
  scheduled: (_, env) => env.DB.prepare("INSERT INTO marks VALUES ('scheduled') ON CONFLICT DO NOTHING").run(),
};`;

/** Makes the project of a minimal worker below a folder, for tests that are about starting and ending. Gives its path. */
export function makeSmallProject(folder: string): string {
  const project = path.join(folder, 'project');
  mkdirSync(path.join(project, 'migrations'), { recursive: true });
  writeFileSync(path.join(project, 'migrations/0001_marks.sql'), 'CREATE TABLE marks (name TEXT PRIMARY KEY);');
  writeFileSync(path.join(project, 'index.js'), WORKER);
  const config = {
    name: 'small',
    main: 'index.js',
    compatibility_date: '2026-11-01',
    d1_databases: [{ binding: 'DB', database_name: 'small', migrations_dir: 'migrations' }],
    r2_buckets: [{ binding: 'LAKE', bucket_name: 'data-ingestion' }],
    triggers: { crons: ['* * * * *'] },
  };
  writeFileSync(path.join(project, 'wrangler.jsonc'), JSON.stringify(config));
  return project;
}
