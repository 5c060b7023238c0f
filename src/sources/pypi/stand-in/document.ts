import { createHash } from 'node:crypto';
import type { JsonObject } from '../../upstream/json.ts';

/** Replaces the index's origin in every document; the stand-in replaces it by its own. */
export const ORIGIN_PLACEHOLDER = 'http://index.invalid';

/** A project too large to be stored: `releases` versions `1.0.<n>` from `1.0.0` on, one a day, with as many files each. */
export interface Recipe {
  summary: string;
  releases: number;
  filesPerRelease: number;
  /** When the first file of `1.0.0` was uploaded. */
  firstUpload: string;
}

/** What of a document is not as usual: the parts of `info`, and the file names of each version with their upload times. */
export interface Parts {
  name: string;
  info?: JsonObject;
  files: Record<string, { filename: string; uploadedAt: string }[]>;
}

const DAY_MS = 86_400_000;
const SECOND_MS = 1000;

/** The document of a recipe. The files of a release were uploaded one a second. */
export function recipeDocument(name: string, recipe: Recipe): JsonObject {
  const files: Parts['files'] = {};
  for (let release = 0; release < recipe.releases; release++) {
    const version = `1.0.${release}`;
    const firstMs = Date.parse(recipe.firstUpload) + release * DAY_MS;
    files[version] = Array.from({ length: recipe.filesPerRelease }, (_, index) => ({
      filename: `${name.replaceAll('-', '_')}-${version}-cp312-cp312-platform_${String(index + 1).padStart(3, '0')}.whl`,
      uploadedAt: isoSeconds(firstMs + index * SECOND_MS),
    }));
  }
  return makeDocument({ name, info: { summary: recipe.summary, version: `1.0.${recipe.releases - 1}` }, files });
}

/** A whole document in the index's shape, made of the parts that are given; `last_serial` is left to the index. */
export function makeDocument({ name, info = {}, files }: Parts): JsonObject {
  const version = typeof info.version === 'string' ? info.version : (Object.keys(files).at(-1) ?? '0');
  const url = `${ORIGIN_PLACEHOLDER}/project/${name}/`;
  const releases = Object.fromEntries(
    Object.entries(files).map(([key, list]) => [key, list.map(file => fileObject(file))]),
  );
  const usual = {
    author: '',
    author_email: '',
    bugtrack_url: null,
    classifiers: [],
    description: '',
    description_content_type: null,
    docs_url: null,
    download_url: '',
    downloads: { last_day: -1, last_month: -1, last_week: -1 },
    dynamic: null,
    home_page: '',
    keywords: '',
    license: '',
    license_expression: null,
    license_files: null,
    maintainer: '',
    maintainer_email: '',
    name,
    package_url: url,
    platform: null,
    project_url: url,
    project_urls: null,
    provides_extra: null,
    release_url: `${url}${version}/`,
    requires_dist: null,
    requires_python: null,
    summary: '',
    version,
    yanked: false,
    yanked_reason: null,
  };
  return {
    info: Object.assign(usual, info),
    ownership: { organization: null, roles: [{ role: 'Owner', user: 'invented-owner' }] },
    releases,
    urls: releases[version] ?? [],
    vulnerabilities: [],
  };
}

/** A file as the index describes it. Its digests are made of its name, because there is no such file. */
function fileObject({ filename, uploadedAt }: { filename: string; uploadedAt: string }): JsonObject {
  const isWheel = filename.endsWith('.whl');
  const sha256 = digest('sha256', filename);
  return {
    comment_text: '',
    'core-metadata': isWheel ? { sha256: digest('sha256', `${filename}.metadata`) } : false,
    digests: { blake2b_256: digest('sha256', `${filename} blake2b`), md5: digest('md5', filename), sha256 },
    downloads: -1,
    filename,
    has_sig: false,
    md5_digest: digest('md5', filename),
    packagetype: isWheel ? 'bdist_wheel' : 'sdist',
    python_version: isWheel ? (filename.split('-').at(-3) ?? 'py3') : 'source',
    requires_python: null,
    size: 20_000 + filename.length,
    upload_time: uploadedAt.slice(0, 19),
    upload_time_iso_8601: `${uploadedAt.slice(0, 19)}.000000Z`,
    url: `${ORIGIN_PLACEHOLDER}/packages/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256.slice(4)}/${filename}`,
    yanked: false,
    yanked_reason: null,
  };
}

function digest(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
