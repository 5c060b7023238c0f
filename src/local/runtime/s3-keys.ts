import { randomBytes } from 'node:crypto';

/** The keys with which a bucket answers over S3. */
export interface S3Keys {
  keyId: string;
  secret: string;
}

/** Keys for the buckets of one start, which nobody can guess and no later start takes. */
export function newS3Keys(): S3Keys {
  return { keyId: randomBytes(16).toString('hex'), secret: randomBytes(32).toString('hex') };
}
