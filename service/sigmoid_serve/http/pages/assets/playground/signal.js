// A value that others follow. `watch` calls at once, and again after each `set`.
export function signal(value) {
  const followers = new Set();
  return {
    get: () => value,
    set(next) {
      value = next;
      for (const follow of [...followers]) follow(value);
    },
    watch(follow) {
      followers.add(follow);
      follow(value);
      return () => followers.delete(follow);
    },
  };
}
