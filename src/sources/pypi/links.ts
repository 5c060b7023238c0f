import { isObject, type JsonObject } from '../upstream/json.ts';
import { textOf } from './text.ts';

/**
 * Labels of links that mean one thing for all readers of an index, in the form in which they are compared: lower case
 * without spaces and punctuation (the specification "Well-known Project URLs in Metadata").
 */
const HOMEPAGE = ['homepage'];
const REPOSITORY = ['source', 'repository', 'sourcecode', 'github'];

/** Hosts whose addresses of two parts or more are repositories. */
const FORGES = ['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org'];

/** Home page and repository: by the labels of the project's links, else by its `home_page`. */
export function linksOf(info: JsonObject): { homepage: string | null; repository: string | null } {
  const links = linksIn(info.project_urls);
  const homepage = linkWith(links, HOMEPAGE) ?? textOf(info.home_page)?.trim() ?? null;
  const repository = linkWith(links, REPOSITORY) ?? (homepage !== null && isRepository(homepage) ? homepage : null);
  return { homepage, repository };
}

/** The links by their labels. Of two labels that are the same when compared, the first counts. */
function linksIn(value: unknown): Map<string, string> {
  const links = new Map<string, string>();
  for (const [label, given] of Object.entries(isObject(value) ? value : {})) {
    const url = textOf(given)?.trim();
    const compared = label.replace(/[\p{P}\p{S}\s]/gu, '').toLowerCase();
    if (url !== undefined && !links.has(compared)) links.set(compared, url);
  }
  return links;
}

function linkWith(links: Map<string, string>, labels: string[]): string | null {
  return labels.map(label => links.get(label)).find(url => url !== undefined) ?? null;
}

/** Projects from before there were labels give their repository as their home page. */
function isRepository(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !FORGES.includes(url.hostname.replace(/^www\./, ''))) return false;
  return url.pathname.split('/').filter(Boolean).length >= 2;
}
