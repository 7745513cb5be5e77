// The types of the members' API, made from its document by frontend/contract.mjs.
export type * from '../generated/contract'
