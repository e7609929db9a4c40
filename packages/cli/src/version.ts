/** Of this software; the same as in the root package.json, which a test holds it to. */
export const VERSION = "0.1.0";
