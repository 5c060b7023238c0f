import { randomBytes } from 'node:crypto';

/** The keys with which a bucket answers over S3. */
export interface S3Keys {
  keyId: string;
  secret: string;
}

/** Random keys for the buckets of one start; the next start makes others. */
export function newS3Keys(): S3Keys {
  return { keyId: randomBytes(16).toString('hex'), secret: randomBytes(32).toString('hex') };
}
