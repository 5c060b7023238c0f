import { type Coin, pick } from './fuzz-mutations.ts';

type Json = unknown;

/** Useless values of every kind. */
const ODD: Json[] = [
  null,
  true,
  0,
  -1,
  Number.POSITIVE_INFINITY,
  '',
  ' ',
  '-',
  'N/A',
  '\u0000',
  '\ud800',
  [],
  {},
  [[]],
  [null],
  [[], ['odd']],
  { odd: 'odd' },
  'REDACTED FOR PRIVACY',
  'GDPR Masked',
  'Not Disclosed',
  'redacted',
  'Please query the RDDS service of the Registrar',
];

/** The same, and useless properties of a card. */
const ODD_PROPERTIES: Json[] = [
  ...ODD,
  ['fn'],
  ['fn', {}],
  [7, {}, 'text', 'stray'],
  ['note', {}, 'text', 'stray'],
  [[], 'odd'],
];

const OTHER_ROLES = ['technical', 'administrative', 'billing', 'reseller', 'noc', 'sponsor', '', 7, null];
const OTHER_PROPERTIES = ['note', 'title', 'role', 'x-fn', 'photo', 'key', 'lang', 'contact-uri'];
const OTHER_ACTIONS = [
  'transfer',
  'reregistration',
  'locked',
  'last update of RDAP database',
  'enum validation expiration',
  '',
  null,
];

const REDACTED = [
  'Registrant Name',
  'Registrant Email',
  'Registrant Organization',
  'Registrant Street',
  'Registrant City',
  'Registrant State/Province',
  'Registrant Country',
  'Registrant Phone',
  'Tech Email',
  'Registrant Contact',
  'stray',
];
const PATHS = [
  '$.nameservers',
  '$.handle',
  '$',
  '',
  "$.entities[?(@.roles[0]=='registrant')]",
  '$.entities[0].vcardArray[1][2]',
  ...["'fn'", '"org"', "'email'", "'adr'", "'tel'"].flatMap(name => [
    `$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]==${name})]`,
    `$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]==${name})][3][${3 + (name.length % 4)}]`,
    `$.entities[?(@.roles[0]=='technical')].vcardArray[1][?(@[0]==${name})][3]`,
  ]),
];

/** The value, or now and then an odd one in its place. */
function maybe(coin: Coin, value: Json, odd: Json[] = ODD): Json {
  return coin() < 0.06 ? pick(coin, odd) : value;
}

/** The items of a list with some odd ones added and some left out; now and then a single item, or an odd value. */
function listed(coin: Coin, items: Json[], odd: Json[] = ODD): Json {
  const list = items.filter(() => coin() > 0.04).flatMap(item => (coin() < 0.08 ? [pick(coin, odd), item] : [item]));
  if (coin() < 0.02) return pick(coin, odd);
  return coin() < 0.03 && list.length === 1 ? list[0] : shuffled(coin, list);
}

function shuffled<T>(coin: Coin, items: T[]): T[] {
  const keyed = items.map(item => ({ item, at: coin() }));
  return keyed.sort((a, b) => a.at - b.at).map(({ item }) => item);
}

/** A value in one of the forms that servers use. */
function wrapped(coin: Coin, text: string): Json {
  const kind = coin();
  return kind < 0.7 ? text : kind < 0.8 ? [text] : kind < 0.9 ? ['', text] : kind < 0.95 ? [[text]] : ` ${text}\n`;
}

function property(coin: Coin, name: string, value: Json, type = 'text', parameters: Json = {}): Json {
  return [coin() < 0.1 ? name.toUpperCase() : name, maybe(coin, parameters), maybe(coin, type), maybe(coin, value)];
}

function cardOf(coin: Coin, properties: Json[]): Json {
  const strays = [0, 1].map(() => property(coin, pick(coin, OTHER_PROPERTIES), wrapped(coin, 'Stray')));
  const all = listed(coin, [['version', {}, 'text', '4.0'], ...strays, ...properties], ODD_PROPERTIES);
  const kind = coin();
  return kind < 0.85
    ? ['vcard', all]
    : kind < 0.9
      ? all
      : kind < 0.95 && Array.isArray(all)
        ? ['vcard', ...all]
        : maybe(coin, ['vcard', []]);
}

function addressOf(coin: Coin): Json {
  const parts = ['Stray Box', 'Stray Floor', ['Stray Street', 'Stray Yard'], wrapped(coin, 'Marker Registrant City')];
  const rest = [wrapped(coin, 'Marker Registrant State'), 'Stray Code', wrapped(coin, 'Marker Registrant Country')];
  const whole = [...parts, ...rest].map(part => maybe(coin, part));
  return coin() < 0.05 ? whole.slice(0, Math.floor(coin() * 7)) : coin() < 0.05 ? [...whole, 'Stray', ''] : whole;
}

function entity(coin: Coin, role: Json, card: Json, entities: Json[] = []): Json {
  const roles = coin() < 0.9 ? [role] : coin() < 0.5 ? role : [pick(coin, OTHER_ROLES), role];
  const fields = { objectClassName: 'entity', handle: 'STRAY-1', roles, vcardArray: card };
  return entities.length > 0 || coin() < 0.1 ? { ...fields, entities: listed(coin, entities) } : fields;
}

/** A contact that is neither the registrant nor the registrar, with every property that a card may have. */
function stranger(coin: Coin): Json {
  const card = cardOf(coin, [
    ['fn', {}, 'text', 'Stray Name'],
    ['org', {}, 'text', 'Stray Organization'],
    ['email', {}, 'text', 'stray@example.com'],
    ['url', {}, 'uri', 'https://stray.example/'],
    ['adr', { cc: 'stray' }, 'text', ['', '', '', 'Stray City', 'Stray State', '', 'Stray Country']],
  ]);
  return { roles: [pick(coin, OTHER_ROLES)], vcardArray: card, publicIds: [{ type: 'Other ID', identifier: 'stray' }] };
}

function entitiesOf(coin: Coin): Json[] {
  const registrant = cardOf(coin, [
    property(coin, 'fn', wrapped(coin, 'Marker Registrant Name')),
    property(coin, 'org', wrapped(coin, 'Marker Registrant Organization')),
    property(coin, 'email', wrapped(coin, 'marker-registrant@example.com')),
    property(coin, 'adr', addressOf(coin), 'text', coin() < 0.2 ? { label: 'Stray Label' } : {}),
    property(coin, 'tel', 'tel:+1.2025550999', 'uri'),
  ]);
  const registrar = cardOf(coin, [
    property(coin, 'fn', wrapped(coin, 'Marker Registrar Name')),
    property(coin, 'url', wrapped(coin, 'https://marker-registrar.example/'), 'uri'),
    property(coin, 'email', 'stray-registrar@example.com'),
    property(coin, 'adr', ['', '', '', 'Stray City', 'Stray State', '', 'Stray Country']),
  ]);
  const abuse = cardOf(coin, [
    property(coin, 'fn', 'Stray Desk'),
    property(coin, 'note', '+1.2025550999'),
    ['tel', { type: coin() < 0.5 ? 'FAX' : ['fax', 'work'] }, 'uri', 'tel:+1.2025550999'],
    property(coin, 'email', wrapped(coin, 'marker-abuse@example.com')),
    property(coin, 'tel', wrapped(coin, coin() < 0.5 ? 'tel:+1.2025550111' : '+1.2025550111'), 'uri', {
      type: 'voice',
    }),
  ]);
  const desk = entity(coin, 'abuse', abuse, coin() < 0.1 ? [stranger(coin)] : []);
  const isInside = coin() < 0.8;
  const seller = {
    ...(entity(coin, 'registrar', registrar, [...(isInside ? [desk] : []), stranger(coin)]) as Record<string, Json>),
    publicIds: listed(coin, [
      { type: 'IANA Registrar ID', identifier: maybe(coin, coin() < 0.5 ? '424242' : 424242) },
      { type: 'Other ID', identifier: '515151' },
    ]),
  };
  const owner = entity(coin, 'registrant', registrant, coin() < 0.3 ? [stranger(coin)] : []);
  const holder = { roles: ['sponsor'], entities: [seller] };
  return [owner, coin() < 0.1 ? holder : seller, ...(isInside ? [] : [desk]), stranger(coin), stranger(coin)];
}

function redactions(coin: Coin): Json[] {
  return [0, 1, 2].map(() => ({
    name: maybe(coin, { [coin() < 0.5 ? 'type' : 'description']: maybe(coin, pick(coin, REDACTED)) }),
    [pick(coin, ['prePath', 'postPath', 'replacementPath'])]: maybe(coin, pick(coin, PATHS)),
    method: maybe(coin, pick(coin, ['removal', 'emptyValue', 'partialValue', 'replacementValue'])),
  }));
}

/**
 * A domain object in shapes that servers write, and in some that none does. Each value names its column, or is `stray`,
 * 515151, 2004-04-04 or …0999 where it belongs to none. Odd values are added to the others or replace them, but no value
 * moves to another member.
 */
export function hostileAnswer(domain: string, coin: Coin): Json {
  const event = (eventAction: Json, eventDate: string) => ({
    eventAction,
    eventDate: maybe(coin, eventDate),
    eventActor: 'stray',
  });
  const members: [string, Json][] = [
    ['objectClassName', maybe(coin, 'domain', ['Domain', null, 7, 'entity', ''])],
    ['handle', 'STRAY-HANDLE'],
    ['ldhName', maybe(coin, coin() < 0.5 ? domain : `${domain.toUpperCase()}.`, ['', null, 7, 'other-example.com'])],
    ['entities', listed(coin, entitiesOf(coin))],
    ['status', listed(coin, ['active', 'client hold', 'stray'])],
    ['secureDNS', maybe(coin, { delegationSigned: maybe(coin, coin() < 0.5), dsData: [{ digest: 'stray' }] })],
    [
      'nameservers',
      listed(coin, [{ ldhName: maybe(coin, 'MARKER-NS.example.') }, { handle: 'stray', status: ['stray'] }]),
    ],
    [
      'events',
      listed(coin, [
        event('registration', '2001-01-01T01:01:01Z'),
        event('last changed', '2002-02-02T02:02:02Z'),
        event(coin() < 0.8 ? 'expiration' : 'registrar expiration', '2003-03-03T03:03:03Z'),
        event(pick(coin, OTHER_ACTIONS), '2004-04-04T04:04:04Z'),
        event(pick(coin, OTHER_ACTIONS), '2004-04-04T04:04:04Z'),
      ]),
    ],
    [
      'links',
      listed(coin, [{ rel: 'related', href: 'https://related.example/domain/a', type: 'application/rdap+json' }]),
    ],
    ['notices', [{ title: 'stray', description: ['stray'] }]],
    ['port43', 'stray.example'],
    ['lang', 'stray'],
  ];
  if (coin() < 0.2) members.push(['redacted', listed(coin, redactions(coin))]);
  return Object.fromEntries(shuffled(coin, members).filter(() => coin() > 0.03));
}

/** The same document with its keys, and the lists that are sets, in another order. */
export function reordered(json: Json, coin: Coin): Json {
  if (Array.isArray(json) || typeof json !== 'object' || json === null) return json;
  const sets = ['status', 'events', 'nameservers'];
  return Object.fromEntries(
    shuffled(coin, Object.entries(json)).map(([key, value]) => [
      key,
      Array.isArray(value)
        ? (sets.includes(key) ? shuffled(coin, value) : value).map(item => reordered(item, coin))
        : reordered(value, coin),
    ]),
  );
}
