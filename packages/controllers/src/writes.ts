import { isAlreadyExists, isConflict, isNotFound, statusOf } from "@skerry/machinery";

/** Awaits a write to an object that may be gone already, which is as good. */
export async function unlessGone(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Awaits a write that whoever changed the object a moment ago causes to be looked at again, or that finds it gone. */
export async function unlessChanged(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error;
  }
}

/** Awaits a create that somebody else may have done first, or whose namespace may have begun to go. */
export async function unlessThere(write: Promise<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!isAlreadyExists(error) && !isNotFound(error) && statusOf(error)?.reason !== "Forbidden") throw error;
  }
}
