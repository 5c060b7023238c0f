import type { Answer } from '../../stand-in/faults.ts';
import { isObject, type JsonObject } from '../../upstream/json.ts';
import { ORIGIN_PLACEHOLDER } from './document.ts';
import { completedOf, type Project, type Projects, type Version } from './projects.ts';
import { sortedJson } from './sorted-json.ts';

const API_VERSION = '1.4';
export const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';

/** The index of all projects that are not quarantined, with their serials. */
export function simpleIndex(projects: Projects, { serial, accept }: { serial: number; accept: string }): Answer {
  const listed = projects.all().filter(({ now }) => now.presence !== 'absent' && now.presence !== 'quarantined');
  if (!accept.includes(SIMPLE_JSON)) {
    const links = listed.map(({ key, display }) => `    <a href="/simple/${key}/">${display}</a>\n`).join('');
    return html(`<!DOCTYPE html>\n<html>\n  <body>\n${links}  </body>\n</html>\n<!--SERIAL ${serial}-->`, serial);
  }
  const list = listed.map(project => ({ '_last-serial': projects.serialOf(project), name: project.display }));
  return json({ meta: { '_last-serial': serial, 'api-version': API_VERSION }, projects: list }, serial);
}

/** The files of a project and its status. */
export function simpleProject(
  project: Project,
  { version, serial, accept, origin }: { version: Version; serial: number; accept: string; origin: string },
): Answer {
  const isQuarantined = version.presence === 'quarantined';
  const releases = isQuarantined || version.presence === 'unreleased' ? {} : releasesOf(project, version);
  const files = Object.values(releases).flat();
  if (!accept.includes(SIMPLE_JSON)) {
    const links = files.map(file => `    <a href="${file.url}">${file.filename}</a><br />\n`).join('');
    return html(`<!DOCTYPE html>\n<html>\n  <body>\n${links}  </body>\n</html>\n<!--SERIAL ${serial}-->`, serial);
  }
  const status = isQuarantined ? 'quarantined' : project.archived ? 'archived' : 'active';
  return json(
    {
      files: files.map(file => simpleFile(file, origin)),
      meta: { '_last-serial': serial, 'api-version': API_VERSION },
      name: project.key,
      'project-status': { status },
      versions: Object.keys(releases).filter(key => releases[key]!.length > 0),
    },
    serial,
  );
}

function releasesOf(project: Project, version: Version): Record<string, JsonObject[]> {
  const releases = completedOf(project, version)?.releases;
  if (!isObject(releases)) return {};
  const lists = Object.entries(releases).map(([key, files]) => [key, [files].flat().filter(isObject)] as const);
  return Object.fromEntries(lists);
}

function simpleFile(file: JsonObject, origin: string): JsonObject {
  const digests = isObject(file.digests) ? file.digests : {};
  const metadata = file['core-metadata'] ?? false;
  const reason = typeof file.yanked_reason === 'string' && file.yanked_reason !== '' ? file.yanked_reason : true;
  return {
    'core-metadata': metadata,
    'data-dist-info-metadata': metadata,
    filename: file.filename ?? null,
    hashes: { sha256: digests.sha256 ?? null },
    provenance: null,
    'requires-python': file.requires_python ?? null,
    size: file.size ?? null,
    'upload-time': file.upload_time_iso_8601 ?? null,
    url: String(file.url).replace(ORIGIN_PLACEHOLDER, origin),
    yanked: file.yanked === true ? reason : false,
  };
}

function json(value: unknown, serial: number): Answer {
  return { headers: headers(SIMPLE_JSON, serial), body: sortedJson(value) };
}

function html(body: string, serial: number): Answer {
  return { headers: headers('text/html; charset=UTF-8', serial), body };
}

function headers(contentType: string, serial: number): Record<string, string> {
  return {
    'content-type': contentType,
    'cache-control': 'max-age=600, public',
    vary: 'Accept, Accept-Encoding',
    'x-pypi-last-serial': String(serial),
  };
}
