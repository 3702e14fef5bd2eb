export function start(root) {}
