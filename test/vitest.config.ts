import { availableParallelism } from 'node:os';
import path from 'node:path';
import { cloudflareTest, readD1Migrations } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const root = path.resolve(import.meta.dirname, '..');

// Wrangler warns of its experimental settings each time it reads the configuration; its errors are still printed.
process.env.WRANGLER_LOG ??= 'error';

// Every test that starts a program compiles the same code again, most of it wrangler's: the compiled code is kept.
process.env.NODE_COMPILE_CACHE ??= path.join(root, 'node_modules/.cache/node');

const STREAM_WORKER = {
  name: 'stream',
  modules: true,
  compatibilityDate: '2026-11-01',
  scriptPath: path.join(root, 'test/workers/stream-worker.js'),
};

/** Files that take longest start first, because a long file that starts last would run alone. */
const LONG = ['test/e2e/', 'test/simulation/', 'test/local/', 'test/workers/'];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId }: TestSpecification) =>
      LONG.findIndex(folder => path.relative(root, moduleId).startsWith(folder)) >>> 0;
    return sorted.sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  root,
  test: {
    // Two files more than there are cores, because many files wait for a process that they started.
    maxWorkers: availableParallelism() + 2,
    sequence: { sequencer: LongFirst },
    // Tributary logs a line for each unit of work: shown only where a test failed.
    silent: 'passed-only',
    // One line a file; a test that failed is shown in full.
    slowTestThreshold: 60_000,
    reporters: process.env.CI ? ['default', ['json', { outputFile: path.join(root, '.ci/report.json') }]] : ['default'],
    projects: [
      {
        root,
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workers/**'],
          // A process for each file, because tests change limits of the modules that they import.
          isolate: true,
          globalSetup: path.join(root, 'test/budget.setup.ts'),
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        root,
        plugins: [
          cloudflareTest(async () => ({
            // Else the runtime prints each exception and each cut connection that a test causes on purpose.
            verbose: false,
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
          // A runtime for each file, because all of them use the same objects and buckets.
          isolate: true,
          globalSetup: ['quiet', 'upstreams', 'text-server', 'rdap', 'rest-catalog'].map(name =>
            path.join(root, `test/workers/${name}.setup.ts`),
          ),
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
