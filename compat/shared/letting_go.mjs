// A node-redis client whose deletes are overwrites, for libraries that delete: connect-redis, Keyv and the like.
export function lettingGo(client) {
  const [get, mGet, multi] = [client.get.bind(client), client.mGet.bind(client), client.multi.bind(client)];
  const missing = (value) => (value === '' ? null : value);
  client.get = async (key) => missing(await get(key));
  client.mGet = async (keys) => (await mGet(keys)).map(missing);
  client.exists = async (keys) => (await client.mGet([keys].flat())).filter((value) => value !== null).length;
  client.del = client.unlink = async (keys) => {
    const held = [keys].flat().map((key) => client.set(key, '', { PX: 1, XX: true, GET: true }));
    return (await Promise.all(held)).filter(Boolean).length;
  };
  client.multi = () => {
    const batch = multi();
    batch.del = batch.unlink = (key) =>
      batch.addCommand(['SET', key, '', 'PX', '1', 'XX', 'GET'], (value) => Number(Boolean(value)));
    batch.exists = (key) => batch.addCommand(['STRLEN', key], (bytes) => Number(bytes > 0));
    return batch;
  };
  return client;
}
