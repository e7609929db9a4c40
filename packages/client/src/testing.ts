/** For tests of clients, and of what stands behind one. */
export { clientContract, type ClientsUnderTest } from "./contract.ts";
