import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const npmPackage = defineTable({
  name: 'npm_package',
  prefix: 'npm/metadata',
  description: 'Packages of the npm registry: one row for each change of a package that the feed shows.',
  version: 1,
  key: ['name'],
  columns: {
    name: required('utf8', 'Package name with its scope, e.g. `@types/node`.'),
    version: optional('utf8', 'The version `latest` points to; without that tag, the one published last.'),
    description: optional('utf8', "The package's one-line description."),
    author: optional('utf8', 'Author as one string: name, then `<email>` and `(url)` where given.'),
    license: optional('utf8', 'Licence as one string, usually an SPDX expression.'),
    homepage: optional('utf8', 'URL of the home page.'),
    repository: optional('utf8', 'URL of the source repository.'),
    downloads_total: optional(
      'int64',
      "Downloads in the last year: npm counts no total, this is its API's `last-year`.",
    ),
    downloads_last_month: optional('int64', "Downloads in the last month, the API's `last-month`."),
    stars: optional('int64', "Stars of the source repository; npm's documents carry none, null where not known."),
    forks: optional('int64', "Forks of the source repository; npm's documents carry none, null where not known."),
    published_at: optional('utf8', 'When `version` was published, ISO 8601.'),
    last_updated: optional('utf8', 'When the registry last changed the package, ISO 8601.'),
    keywords: optional('utf8', 'Keywords, separated by commas.'),
    tags: optional('utf8', 'Distribution tags: a JSON object of tag to version.'),
    dependencies: optional('utf8', 'Dependencies of `version`: a JSON object of name to range.'),
    dev_dependencies: optional('utf8', 'Development dependencies of `version`: a JSON object of name to range.'),
    peer_dependencies: optional('utf8', 'Peer dependencies of `version`: a JSON object of name to range.'),
    data: optional(
      'utf8',
      'The document as JSON, without readmes and with the versions cut to the one of this row; over 256 KiB a note that names the raw document.',
    ),
    created_at: optional('utf8', 'When the package was created in the registry, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
});

export type NpmPackage = RowOf<typeof npmPackage>;
