import java.lang.reflect.Field;
import java.util.Properties;
import org.apache.solr.embedded.JettyConfig;
import org.apache.solr.embedded.JettySolrRunner;
import org.eclipse.jetty.server.Connector;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/** One Solr node in this process: StartSolr SOLR_HOME. It listens at the properties solr.jetty.host and jetty.port. */
public class StartSolr {
    public static void main(String[] args) throws Exception {
        JettyConfig config = JettyConfig.builder().setPort(Integer.getInteger("jetty.port")).build();
        JettySolrRunner runner = new JettySolrRunner(args[0], new Properties(), config);
        // The runner always listens on 127.0.0.1, which nobody reaches from outside a container.
        Field field = JettySolrRunner.class.getDeclaredField("server");
        field.setAccessible(true);
        for (Connector connector : ((Server) field.get(runner)).getConnectors()) {
            ((ServerConnector) connector).setHost(System.getProperty("solr.jetty.host"));
        }
        try {
            runner.start();
        } catch (Exception e) {
            e.printStackTrace();
            System.exit(1); // other threads would live on
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.stop();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        Thread.currentThread().join();
    }
}
