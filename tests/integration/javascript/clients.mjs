// Uses an official JavaScript client, and prints what it got. Arguments: the product, its address, and an index.
import { Client as Elasticsearch } from '@elastic/elasticsearch'
import { Client as OpenSearch } from '@opensearch-project/opensearch'

const [product, node, index] = process.argv.slice(2)
const elastic = product === 'elasticsearch'
const client = elastic ? new Elasticsearch({ node, compression: true }) : new OpenSearch({ node })
const opened = (reply) => (elastic ? reply : reply.body)
const ids = (reply) => reply.hits.hits.map((hit) => hit._id)
const body = { query: { match: { text: 'shoe red' } }, size: 3 }
const copies = `${index}_javascript`

const search = elastic
  ? await client.search({ index, ...body }, { meta: true })
  : await client.search({ index, body })
const multi = opened(await client.msearch(elastic ? { searches: [{ index }, body, {index}, {...body, from: 3}] }
  : { body: [{ index }, body, {index}, {...body, from: 3}] }))
const datasource = Array.from({ length: 500 }, (_, number) => ({ text: `shoe ${number}` }))
const bulk = await client.helpers.bulk({
  datasource, refreshOnCompletion: copies, onDocument: () => ({ index: { _index: copies } })
})
let scrolled = 0
const all = { index: copies, size: 99, ...(elastic ? { query: { match: { text: 'shoe' } } } : { body: { query: { match: { text: 'shoe' } } } }) }
for await (const page of client.helpers.scrollSearch(all)) scrolled += page.documents.length
const exists = opened(await client.indices.exists({ index: copies }))
await client.indices.delete({ index: copies })
let failure = null
try {
  await client.search(elastic ? { index, query: { nonsense: {} } } : { index, body: { query: { nonsense: {} } } })
} catch (error) {
  failure = [error.constructor.name, error.statusCode]
}
console.log(JSON.stringify({
  ids: ids(search.body), told: search.headers['x-rerank'] ?? null, multi: multi.responses.map(ids),
  bulk: bulk.successful, scrolled, exists, failure
}))
await client.close()
