import path from 'node:path';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const root = path.resolve(import.meta.dirname, '..');

const STREAM_WORKER = {
  name: 'stream',
  modules: true,
  compatibilityDate: '2026-11-01',
  scriptPath: path.join(root, 'test/workers/stream-worker.js'),
};

export default defineConfig({
  root,
  test: {
    // Tributary logs a line for each unit of work: shown only where a test failed.
    silent: 'passed-only',
    reporters: process.env.CI ? ['default', ['json', { outputFile: path.join(root, '.ci/report.json') }]] : ['default'],
    projects: [
      {
        root,
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workers/**'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        root,
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: path.join(root, 'wrangler.jsonc') },
            miniflare: {
              // A stream's binding is one to another worker; the runtime's own throws away what it is sent.
              workers: [STREAM_WORKER],
              serviceBindings: { TEST_STREAM: { name: STREAM_WORKER.name, entrypoint: 'Stream' } },
              bindings: {
                MIGRATIONS: await readD1Migrations(path.join(root, 'migrations')),
                ADMIN_TOKEN: 'token-of-the-worker-tests',
                NPM_REGISTRY_URL: 'http://127.0.0.1:9',
              },
            },
          })),
        ],
        test: {
          name: 'workers',
          include: ['test/workers/**/*.test.ts'],
          globalSetup: ['upstreams', 'text-server', 'rdap', 'rest-catalog'].map(name =>
            path.join(root, `test/workers/${name}.setup.ts`),
          ),
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
