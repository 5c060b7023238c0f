import { Unread } from '../../sources/upstream/json.ts';

/** The part of a path that means every item of a list. */
export const ITEMS = '[]';

/** Which members of JSON values were read, as a tree of their keys; `ITEMS` is the key of a list's items. */
export interface Reads {
  isRead: boolean;
  members: Map<string, Reads>;
}

export function noReads(): Reads {
  return { isRead: false, members: new Map() };
}

/** Whether a member, or anything in it, was read. */
export function hasReads({ isRead, members }: Reads): boolean {
  return isRead || [...members.values()].some(hasReads);
}

/**
 * The value behind proxies that mark in `reads` what code reads by name. What code only passes on counts as unread: members that it walks over (`Object.entries`) or hands to `JSON.stringify`, as sources do to keep a
 * whole document. `isWalked`: the value was got by such a walk, so the items of a list in it do not count either.
 */
export function watchReads(value: unknown, reads: Reads, isWalked = false): unknown {
  // A part of a large document keeps its bytes in private fields, which a proxy cannot reach.
  if (value instanceof Unread)
    return Object.assign(Object.create(Unread.prototype), { read: () => watchReads(value.read(), reads, isWalked) });
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, Array.isArray(value) ? itemReads(reads, isWalked) : memberReads(reads));
}

function itemReads(reads: Reads, isWalked: boolean): ProxyHandler<object> {
  return {
    get(list, key) {
      const item: unknown = Reflect.get(list, key);
      // `JSON.stringify` walks over the members of an object, and reads the items of a list like any other code.
      if (key === 'toJSON') return () => list;
      if (typeof key === 'symbol' || !/^\d+$/.test(key)) return item;
      return watchReads(item, markRead(reads, ITEMS, !isWalked), isWalked);
    },
  };
}

function memberReads(reads: Reads): ProxyHandler<object> {
  /** Keys that a walk handed out: the next read of each is the walk's. */
  const walked = new Set<string>();
  return {
    get(object, key) {
      const member: unknown = Reflect.get(object, key);
      if (typeof key === 'symbol' || !Object.hasOwn(object, key)) return member;
      const isWalked = walked.delete(key);
      return watchReads(member, markRead(reads, key, !isWalked), isWalked);
    },
    ownKeys(object) {
      const keys = Reflect.ownKeys(object);
      for (const key of keys) if (typeof key === 'string') walked.add(key);
      return keys;
    },
  };
}

function markRead(reads: Reads, key: string, isRead: boolean): Reads {
  const member = reads.members.get(key) ?? noReads();
  reads.members.set(key, member);
  member.isRead ||= isRead;
  return member;
}
